/* A byte buffer: growing, moving and giving back. */
#include "net/buf.h"

#include "wal/base/check.h"

#include <stdlib.h>

enum { ROOM_MIN = 512 };

void buf_fini(struct buf *buf)
{
    free(buf->at);
    *buf = (struct buf){.at = NULL};
}

bool buf_grow(struct buf *buf, size_t len)
{
    size_t held = buf_len(buf);
    if (buf->start > 0) {
        memmove(buf->at, buf->at + buf->start, held);
        buf->start = 0;
        buf->end = held;
    }
    if (buf->room - held >= len) {
        return true;
    }
    size_t room = buf->room < ROOM_MIN ? ROOM_MIN : buf->room * 2;
    room = room < held + len ? held + len : room;
    char *at = realloc(buf->at, room);
    if (at == NULL) {
        buf->failed = true;
        return false;
    }
    buf->at = at;
    buf->room = room;
    return true;
}

void buf_move(struct buf *to, struct buf *from, size_t len)
{
    DCHECK(len <= buf_len(from));
    if (len == buf_len(from) && buf_len(to) == 0) {
        struct buf taken = *from;
        *from = *to;
        *to = taken;
        from->failed = to->failed = from->failed || to->failed;
        return;
    }
    buf_put(to, from->at + from->start, len);
    buf_take(from, len);
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
    size_t room = wanted < BUF_KEEP_BYTES / 2 ? BUF_KEEP_BYTES : wanted * 2;
    if (wanted > buf->room / 4 || room >= buf->room) {
        return;
    }
    memmove(buf->at, buf->at + buf->start, len);
    buf->start = 0;
    buf->end = len;
    char *at = realloc(buf->at, room);
    if (at != NULL) {
        buf->at = at;
        buf->room = room;
    }
}
