/* How many elements an array has. */
#ifndef TALLY_TESTS_LIB_COUNT_H
#define TALLY_TESTS_LIB_COUNT_H

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
