/* The log as `tally-wal` tells it. */
#ifndef TALLY_TESTS_LIB_DUMP_H
#define TALLY_TESTS_LIB_DUMP_H

#include "tests/lib/server.h"

/* Runs `tally-wal dump` on the server's directory, running or not. The tool's path is the
 * environment's TALLY_WAL. Owns: the text is the caller's to free. */
char *dump_text(const struct server *server);

/* The same, a JSON object a line. */
char *dump_json(const struct server *server);

/* Expects that `tally-wal verify` finds nothing wrong: exit 0. */
void dump_verify(const struct server *server);

#endif
