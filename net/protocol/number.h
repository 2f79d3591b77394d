/* Decimal numbers on the wire: read strictly, written fast. */
#ifndef TALLY_NET_PROTOCOL_NUMBER_H
#define TALLY_NET_PROTOCOL_NUMBER_H

#include "wal/base/err.h"
#include "wal/base/span.h"

#include <stddef.h>
#include <stdint.h>

enum { NUMBER_DIGITS_MAX = 20 };

/*
 * Reads a number that is nothing but digits. Errors: INVAL (another character, or an empty word);
 * RANGE (digits, of any length, and not in min..max). After an error *number is as it was.
 */
int number_read(struct span word, uint64_t min, uint64_t max, uint64_t *number);

/* Writes at most NUMBER_DIGITS_MAX digits; returns how many. */
size_t number_write(char *to, uint64_t number);

#endif
