/* The operator's callbacks, and stderr where there are none. */
#include "engine/base/alarm.h"

#include <stdio.h>
#include <unistd.h>

_Noreturn void alarm_fatal(const struct tally_options *options, int code, const char *why)
{
    if (options->fatal != NULL) {
        options->fatal(options->fatal_arg, code, why);
    } else {
        fprintf(stderr, "tally: %s\n", why);
    }
    _exit(code);
}

void alarm_trouble(const struct tally_options *options, const char *what)
{
    if (options->trouble != NULL) {
        options->trouble(options->trouble_arg, what);
    } else {
        fprintf(stderr, "tally: %s\n", what);
    }
}

void alarm_warn(const struct tally_options *options, const char *what)
{
    if (options->warn != NULL) {
        options->warn(options->warn_arg, what);
    } else {
        fprintf(stderr, "tally: %s\n", what);
    }
}
