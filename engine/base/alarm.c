/* Messages to the operator: by the callbacks of the options, or on stderr where there are none. */
#include "engine/base/alarm.h"

#include "wal/base/check.h"

#include <stdio.h>
#include <unistd.h>

_Noreturn void alarm_fatal(const struct tally_options *options, int code, const char *why)
{
    DCHECK(code != 0 && why != NULL);
    if (options->fatal != NULL) {
        options->fatal(options->fatal_arg, code, why);
    } else {
        fprintf(stderr, "tally: %s\n", why);
    }
    _exit(code);
}

void alarm_trouble(const struct tally_options *options, const char *what)
{
    DCHECK(what != NULL);
    if (options->trouble != NULL) {
        options->trouble(options->trouble_arg, what);
    } else {
        fprintf(stderr, "tally: %s\n", what);
    }
}

void alarm_warn(const struct tally_options *options, const char *what)
{
    DCHECK(what != NULL);
    if (options->warn != NULL) {
        options->warn(options->warn_arg, what);
    } else {
        fprintf(stderr, "tally: %s\n", what);
    }
}
