/* A window for reading one file: any range of the file as one piece of memory. */
#include "wal/disk/read_window.h"

#include "wal/disk/full_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES ((size_t)1 << 20)

void wal_read_window_init(struct wal_read_window *window, struct wal_io *io)
{
    *window = (struct wal_read_window){.io = io, .fd = -1};
}

void wal_read_window_fini(struct wal_read_window *window)
{
    free(window->bytes);
    window->bytes = NULL;
}

void wal_read_window_turn(struct wal_read_window *window, int fd)
{
    window->fd = fd;
    window->len = 0;
}

/* The old contents are not kept. */
static int grow(struct wal_read_window *window, size_t len)
{
    size_t capacity = len < WINDOW_BYTES ? WINDOW_BYTES : len;
    if (capacity <= window->capacity) {
        return 0;
    }
    free(window->bytes);
    window->len = 0;
    window->capacity = 0;
    window->bytes = malloc(capacity);
    if (window->bytes == NULL) {
        return -ENOMEM;
    }
    window->capacity = capacity;
    return 0;
}

int wal_read_window_get(struct wal_read_window *window, uint64_t offset, size_t len,
                        const unsigned char **at)
{
    bool inside =
        window->len > 0 && offset >= window->offset && offset + len <= window->offset + window->len;
    if (!inside) {
        int err = grow(window, len);
        if (err != 0) {
            return err;
        }
        window->len = 0;
        int64_t n =
            wal_full_io_read(window->io, window->fd, window->bytes, window->capacity, offset);
        if (n < 0) {
            return (int)n;
        }
        /* Behind the end of the file zeros are filled in, but only as many as the caller asks for:
         * the capacity is a megabyte, and most files that a start reads are short. */
        window->len = (size_t)n > len ? (size_t)n : len;
        memset(window->bytes + n, 0, window->len - (size_t)n);
        window->offset = offset;
    }
    *at = window->bytes + (offset - window->offset);
    return 0;
}
