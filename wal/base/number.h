/* Numbers as people write them in arguments. */
#ifndef TALLY_WAL_BASE_NUMBER_H
#define TALLY_WAL_BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* Reads a number of decimal digits alone: no sign, no blank, no unit. Returns whether the text is
 * one, of at most 64 bits; else *number is untouched. */
bool number_parse(const char *text, uint64_t *number);

#endif
