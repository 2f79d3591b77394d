/* A byte buffer: appended at its end, taken from its front. */
#ifndef TALLY_NET_PROTOCOL_BUF_H
#define TALLY_NET_PROTOCOL_BUF_H

#include "wal/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define BUF_FENCED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BUF_FENCED 1
#endif
#endif
#ifdef BUF_FENCED
#include <sanitizer/asan_interface.h>
#endif

/*
 *     at        start          end               capacity
 *      |  taken   |    held     |   not written      |
 *
 * All zero is an empty buffer. A failed allocation sets `failed`, which stays set: the buffer's
 * owner checks it once after a whole request, instead of after every byte.
 *
 * Only held bytes may be read. Under AddressSanitizer all others are poisoned: a reply that would
 * send bytes that nobody wrote is reported.
 */
struct buf {
    char *at;     /* owned */
    size_t start; /* of the held bytes */
    size_t end;
    size_t capacity;
    bool failed;
#ifdef BUF_FENCED
    size_t open_end; /* end of the bytes that the writer may write now */
#endif
};

enum { BUF_KEEP_BYTES = 8 * 1024 }; /* buf_shrink leaves a buffer up to this size alone */

void buf_fini(struct buf *buf);

/* Makes room for `len` bytes behind the end. Returns false, and sets failed, without memory. */
bool buf_grow(struct buf *buf, size_t len);

/*
 * Moves the first `len` bytes of `from`, and its `failed`, to the end of `to`; exchanges the two
 * buffers when it can. Returns the number of bytes moved: 0 without memory, and `from` has lost
 * its bytes all the same.
 */
size_t buf_move(struct buf *to, struct buf *from, size_t len);

/* Gives back memory that the buffer needs neither for its bytes nor for the `keep` bytes that it is
 * about to hold: all if it needs none; if it has four times its need, all but twice the need. */
void buf_give_back(struct buf *buf, size_t keep);

static inline size_t buf_len(const struct buf *buf)
{
    DCHECK(buf->start <= buf->end && buf->end <= buf->capacity);
    return buf->end - buf->start;
}

/* Lets a writer write `len` bytes behind the end, which stay unreadable. */
static inline void buf_open(struct buf *buf, size_t len)
{
    DCHECK(len <= buf->capacity - buf->end);
#ifdef BUF_FENCED
    buf->open_end = buf->end + len;
    ASAN_UNPOISON_MEMORY_REGION(buf->at + buf->end, len);
#else
    (void)buf;
    (void)len;
#endif
}

/* Poisons the bytes from `from` up to `to`. */
static inline void buf_fence(const struct buf *buf, size_t from, size_t to)
{
#ifdef BUF_FENCED
    if (from < to) {
        ASAN_POISON_MEMORY_REGION(buf->at + from, to - from);
    }
#else
    (void)buf;
    (void)from;
    (void)to;
#endif
}

/* Returns where `len` bytes may be written, or NULL; buf_wrote tells how many were written. */
static inline char *buf_room(struct buf *buf, size_t len)
{
    if (__builtin_expect(buf->capacity - buf->end < len, 0) && !buf_grow(buf, len)) {
        return NULL;
    }
    buf_open(buf, len);
    return buf->at + buf->end;
}

static inline void buf_wrote(struct buf *buf, size_t len)
{
    /* the writer has asked buf_room for the most that it can write */
    CHECK(len <= buf->capacity - buf->end);
    buf->end += len;
#ifdef BUF_FENCED
    buf_fence(buf, buf->end, buf->open_end);
#endif
}

static inline void buf_put(struct buf *buf, const void *bytes, size_t len)
{
    char *to = buf_room(buf, len);
    if (to != NULL && len > 0) {
        memcpy(to, bytes, len);
        buf_wrote(buf, len);
    }
}

/* The same as buf_give_back, at the cost of one compare for a small buffer. */
static inline void buf_shrink(struct buf *buf, size_t keep)
{
    if (__builtin_expect(buf->capacity > BUF_KEEP_BYTES, 0)) {
        buf_give_back(buf, keep);
    }
}

/* Takes `len` bytes from the front. */
static inline void buf_take(struct buf *buf, size_t len)
{
    /* callers take no more than buf_len bytes, and the kernel no more than it is given */
    CHECK(len <= buf_len(buf));
    buf_fence(buf, buf->start, buf->start + len);
    buf->start += len;
    if (buf->start == buf->end) {
        buf->start = 0;
        buf->end = 0;
    }
}

#endif
