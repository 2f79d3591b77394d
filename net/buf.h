/* A byte buffer: appended at its end, taken from its front. */
#ifndef TALLY_NET_BUF_H
#define TALLY_NET_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * All zero is an empty one. An allocation that fails sets `failed`, and it stays set: whoever owns
 * the buffer looks once, after a whole request, instead of after every byte.
 */
struct buf {
    char *at;     /* owned */
    size_t start; /* of the bytes not yet taken */
    size_t end;
    size_t room;
    bool failed;
};

enum { BUF_KEEP_BYTES = 8 * 1024 }; /* a buffer no larger than this is kept, empty or not */

void buf_fini(struct buf *buf);

/* Makes sure of room for `len` bytes behind the end; false, and failed set, without memory. */
bool buf_grow(struct buf *buf, size_t len);

/* Appends what `from` holds to `to`, the first `len` bytes of it; exchanges them when it can. */
void buf_move(struct buf *to, struct buf *from, size_t len);

/* Gives back what a large buffer does not need for its bytes, nor for the `keep` bytes that it is
 * about to hold: all of it, or what is more than four times as much. */
void buf_give_back(struct buf *buf, size_t keep);

static inline size_t buf_len(const struct buf *buf)
{
    return buf->end - buf->start;
}

/* Returns where `len` bytes may be written, or NULL; buf_wrote says how many were. */
static inline char *buf_room(struct buf *buf, size_t len)
{
    if (__builtin_expect(buf->room - buf->end < len, 0) && !buf_grow(buf, len)) {
        return NULL;
    }
    return buf->at + buf->end;
}

static inline void buf_wrote(struct buf *buf, size_t len)
{
    buf->end += len;
}

static inline void buf_put(struct buf *buf, const void *bytes, size_t len)
{
    char *to = buf_room(buf, len);
    if (to != NULL && len > 0) {
        memcpy(to, bytes, len);
        buf_wrote(buf, len);
    }
}

/* The same, at the cost of a compare for a small one. */
static inline void buf_shrink(struct buf *buf, size_t keep)
{
    if (__builtin_expect(buf->room > BUF_KEEP_BYTES, 0)) {
        buf_give_back(buf, keep);
    }
}

/* Takes `len` bytes from the front. */
static inline void buf_take(struct buf *buf, size_t len)
{
    buf->start += len;
    if (buf->start == buf->end) {
        buf->start = 0;
        buf->end = 0;
    }
}

#endif
