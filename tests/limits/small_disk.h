/* A disk of a chosen size for a server under test, which goes with the test. */
#ifndef TALLY_TESTS_LIMITS_SMALL_DISK_H
#define TALLY_TESTS_LIMITS_SMALL_DISK_H

#include "tests/lib/server.h"

/* server_init, with its data on a file system of so many MiB. Skips the test where the machine lets
 * nobody make one. At most one at a time. */
void small_disk_init(struct server *server, unsigned mib);

/* The same with room for so many files and directories, with its own root. */
void small_disk_init_files(struct server *server, unsigned mib, unsigned files);

/* After the server has ended. */
void small_disk_fini(void);

/* Takes what room there is, but for so many KiB; and gives it back. */
void small_disk_fill(unsigned leave_kib);
void small_disk_clear(void);

/* What is free, in KiB. */
unsigned long small_disk_free_kib(void);

#endif
