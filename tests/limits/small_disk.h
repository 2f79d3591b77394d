/* A disk of a chosen size for a server under test; it is gone when the test ends. */
#ifndef TALLY_TESTS_LIMITS_SMALL_DISK_H
#define TALLY_TESTS_LIMITS_SMALL_DISK_H

#include "tests/lib/server.h"

/* As server_init, with the data on a file system of so many MiB. Skips the test where the machine
 * allows no such file system. At most one at a time. */
void small_disk_init(struct server *server, unsigned mib);

/* The same with so many inodes, the root directory included. */
void small_disk_init_files(struct server *server, unsigned mib, unsigned files);

/* Frees the disk. REQUIRES: the server has ended. */
void small_disk_fini(void);

/* Uses up all space except for so many KiB; and gives it back. */
void small_disk_fill(unsigned leave_kib);
void small_disk_clear(void);

/* The free space in KiB. */
unsigned long small_disk_free_kib(void);

#endif
