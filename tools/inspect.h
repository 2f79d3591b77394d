/* Reading a whole log for people: dump it, or verify what it means. */
#ifndef TALLY_TOOLS_INSPECT_H
#define TALLY_TOOLS_INSPECT_H

#include <stdbool.h>

/*
 * Reads the log in dir with the production reader and applies every record to a state of its own.
 * With dumps a line for each record goes to stdout, else a summary; what is wrong goes to stderr.
 * Returns the exit code: 0 whole, 4 a torn tail, 5 damage, 74 it cannot be read.
 */
int inspect(const char *dir, bool dumps);

#endif
