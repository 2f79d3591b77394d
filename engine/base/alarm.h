/* Messages to the operator, and the end of a process that cannot go on. */
#ifndef TALLY_ENGINE_BASE_ALARM_H
#define TALLY_ENGINE_BASE_ALARM_H

#include "engine/tally.h"

/*
 * Ends the engine's work: calls options.fatal, which must not come back to work as usual; without
 * one says why on stderr. Ends the process with `code` in any case. Threads: any.
 */
_Noreturn void alarm_fatal(const struct tally_options *options, int code, const char *why);

/* Tells of trouble that may pass: options.trouble, or stderr. Threads: any. */
void alarm_trouble(const struct tally_options *options, const char *what);

/* Tells that a file is damaged while all is whole in memory: options.warn, or stderr. Threads: any.
 */
void alarm_warn(const struct tally_options *options, const char *what);

#endif
