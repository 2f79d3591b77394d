/* Messages to the operator, and the end of a process that cannot go on. */
#ifndef TALLY_ENGINE_BASE_ALARM_H
#define TALLY_ENGINE_BASE_ALARM_H

#include "engine/tally.h"

/*
 * Calls options.fatal, or without one prints why on stderr; then ends the process with `code`.
 * Threads: any.
 */
_Noreturn void alarm_fatal(const struct tally_options *options, int code, const char *why);

/* Reports trouble that may pass: by options.trouble, or on stderr. Threads: any. */
void alarm_trouble(const struct tally_options *options, const char *what);

/* Reports that a file is damaged while the state in memory is whole: by options.warn, or on stderr.
 * Threads: any. */
void alarm_warn(const struct tally_options *options, const char *what);

#endif
