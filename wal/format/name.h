/* Names of the log's files: a prefix, a number in 16 hex digits, a suffix. */
#ifndef TALLY_WAL_FORMAT_NAME_H
#define TALLY_WAL_FORMAT_NAME_H

#include <stdbool.h>
#include <stdint.h>

#define WAL_NAME_BYTES 48

/* Whether a name is prefix, 16 hex digits (not all 0), suffix; *number is then the value. */
bool wal_name_has_number(const char *name, const char *prefix, const char *suffix,
                         uint64_t *number);

#endif
