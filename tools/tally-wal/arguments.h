/* The command line of tally-wal. */
#ifndef TALLY_TOOLS_TALLY_WAL_ARGUMENTS_H
#define TALLY_TOOLS_TALLY_WAL_ARGUMENTS_H

#include "tools/tally-wal/commands.h"

/* Reads the command line into settings, whose filter the caller frees. Returns the command to run;
 * --help, --version and wrong usage (exit code 64) end the process. */
int (*arguments_read(int argc, char **argv, struct settings *settings))(const struct settings *);

#endif
