/* A window for reading one file: any range of the file as one piece of memory. */
#ifndef TALLY_WAL_DISK_READ_WINDOW_H
#define TALLY_WAL_DISK_READ_WINDOW_H

#include "wal/disk/io.h"

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

struct wal_read_window {
    struct wal_io *io;
    int fd; /* borrowed */
    unsigned char *bytes;
    size_t capacity;
    size_t len;      /* valid bytes */
    uint64_t offset; /* of the first one in the file */
};

void wal_read_window_init(struct wal_read_window *window, struct wal_io *io);
void wal_read_window_fini(struct wal_read_window *window);

/* Empties the window and turns it to a file: another one, or the same one after a change. */
void wal_read_window_turn(struct wal_read_window *window, int fd);

/*
 * Makes [offset, offset + len) readable at *at, which lives until the next call. Bytes behind the
 * end of the file read as zeros.
 * Returns 0 or a negative errno value (-ENOMEM among them).
 */
int wal_read_window_get(struct wal_read_window *window, uint64_t offset, size_t len,
                        const unsigned char **at);

#endif
