/* Points in time as people write them. */
#ifndef TALLY_TOOLS_TALLY_WAL_MOMENT_H
#define TALLY_TOOLS_TALLY_WAL_MOMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MOMENT_TEXT_BYTES = 32 };

/* Reads 2026-11-21T10:00:00Z, also with a fraction of a second (.5, .123), or milliseconds since
 * 1970 with or without "ms" behind them. Returns whether text is one of these. */
bool moment_parse(const char *text, uint64_t *time_ms);

/* Writes 2026-11-21T10:00:00.000Z. */
void moment_format(char text[MOMENT_TEXT_BYTES], uint64_t time_ms);

#endif
