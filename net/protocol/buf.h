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
 * All zero is an empty one. An allocation that fails sets `failed`, and it stays set: whoever owns
 * the buffer looks once, after a whole request, instead of after every byte.
 *
 * Only what is held may be read. Under AddressSanitizer everything else is poisoned: a reply that
 * would send what nobody wrote is a report there, and never foreign memory.
 */
struct buf {
    char *at;     /* owned */
    size_t start; /* of the bytes not yet taken */
    size_t end;
    size_t capacity;
    bool failed;
#ifdef BUF_FENCED
    size_t open_end; /* up to here the writer may write now */
#endif
};

enum { BUF_KEEP_BYTES = 8 * 1024 }; /* a buffer no larger than this is kept, empty or not */

void buf_fini(struct buf *buf);

/* Makes sure of room for `len` bytes behind the end; false, and failed set, without memory. */
bool buf_grow(struct buf *buf, size_t len);

/*
 * Moves the first `len` bytes of `from` to the end of `to`, and `failed` with them; exchanges the
 * two when it can. Returns how many bytes came: none without memory, and `from` has lost them.
 */
size_t buf_move(struct buf *to, struct buf *from, size_t len);

/* Gives back what a large buffer does not need for its bytes, nor for the `keep` bytes that it is
 * about to hold: all of it, or what is more than four times as much. */
void buf_give_back(struct buf *buf, size_t keep);

static inline size_t buf_len(const struct buf *buf)
{
    DCHECK(buf->start <= buf->end && buf->end <= buf->capacity);
    return buf->end - buf->start;
}

/* Lets a writer write `len` bytes behind the end, and nobody read them. */
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

/* Poisons from `from` up to `to`. */
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

/* Returns where `len` bytes may be written, or NULL; buf_wrote says how many were. */
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
    /* the writer has this room from buf_room, which asked for the most that it can write */
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

/* The same, at the cost of a compare for a small one. */
static inline void buf_shrink(struct buf *buf, size_t keep)
{
    if (__builtin_expect(buf->capacity > BUF_KEEP_BYTES, 0)) {
        buf_give_back(buf, keep);
    }
}

/* Takes `len` bytes from the front. */
static inline void buf_take(struct buf *buf, size_t len)
{
    /* takers count what buf_len told them, and the kernel takes no more than it is given */
    CHECK(len <= buf_len(buf));
    buf_fence(buf, buf->start, buf->start + len);
    buf->start += len;
    if (buf->start == buf->end) {
        buf->start = 0;
        buf->end = 0;
    }
}

#endif
