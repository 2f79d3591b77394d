/* The byte buffer: growing it, moving bytes, and giving memory back. */
#include "net/protocol/buf.h"

#include "wal/base/check.h"

#include <stdlib.h>

enum { CAPACITY_MIN = 512 };

void buf_fini(struct buf *buf)
{
    free(buf->at);
    *buf = (struct buf){.at = NULL};
}

/* Moves the held bytes to the front. */
static void pack(struct buf *buf)
{
    size_t held = buf_len(buf);
    size_t end = buf->end;
    if (buf->start > 0) {
        buf->end = 0;
        buf_open(buf, held);
        memmove(buf->at, buf->at + buf->start, held);
        buf->start = 0;
        buf->end = held;
        buf_fence(buf, held, end);
    }
}

bool buf_grow(struct buf *buf, size_t len)
{
    size_t held = buf_len(buf);
    pack(buf);
    if (buf->capacity - held >= len) {
        return true;
    }
    size_t capacity = buf->capacity < CAPACITY_MIN ? CAPACITY_MIN : buf->capacity * 2;
    capacity = capacity < held + len ? held + len : capacity;
    char *at = realloc(buf->at, capacity);
    if (at == NULL) {
        buf->failed = true;
        return false;
    }
    buf->at = at;
    buf->capacity = capacity;
    buf_fence(buf, held, capacity);
    DCHECK(buf->start == 0 && buf->end == held && capacity - held >= len);
    return true;
}

size_t buf_move(struct buf *to, struct buf *from, size_t len)
{
    /* callers move bytes that they have counted as they wrote them */
    CHECK(len <= buf_len(from));
    size_t before = buf_len(to);
    to->failed = to->failed || from->failed;
    from->failed = false;
    if (len == buf_len(from) && buf_len(to) == 0) {
        struct buf taken = *from;
        *from = *to;
        *to = taken;
        to->failed = from->failed;
        from->failed = false;
        return len;
    }
    buf_put(to, from->at + from->start, len);
    buf_take(from, len);
    return buf_len(to) - before;
}

void buf_give_back(struct buf *buf, size_t keep)
{
    size_t len = buf_len(buf);
    size_t wanted = len > keep ? len : keep;
    if (wanted == 0) {
        bool failed = buf->failed;
        buf_fini(buf);
        buf->failed = failed;
        return;
    }
    size_t capacity = wanted < BUF_KEEP_BYTES / 2 ? BUF_KEEP_BYTES : wanted * 2;
    if (wanted > buf->capacity / 4 || capacity >= buf->capacity) {
        return;
    }
    pack(buf);
    /* the new capacity is at least twice the held bytes */
    CHECK(capacity >= len);
    char *at = realloc(buf->at, capacity);
    if (at != NULL) {
        buf->at = at;
        buf->capacity = capacity;
        buf_fence(buf, len, capacity);
    }
}
