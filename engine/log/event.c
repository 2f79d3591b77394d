/* Encodes and decodes events. */
#include "engine/log/event.h"

#include "engine/log/row.h"
#include "wal/base/check.h"

#include <stdlib.h>

enum { HEAD_VARINTS = 3 }; /* lsn, time, type */

void event_buf_fini(struct event_buf *buf)
{
    free(buf->at);
    *buf = (struct event_buf){0};
}

void event_put(struct event_buf *buf, const struct event *event)
{
    size_t need =
        HEAD_VARINTS * VARINT_BYTES_MAX + row_bytes_max(EVENT_NUMS, event->text, EVENT_TEXTS);
    DCHECK(record_type_name(event->type) != NULL);
    if (row_bytes_reserve(&buf->at, &buf->capacity, buf->len, need) != 0) {
        buf->is_cut = true;
        return;
    }
    unsigned char *to = buf->at + buf->len;
    to += put_varint(to, event->lsn);
    to += put_varint(to, event->time_ms);
    to += put_varint(to, event->type);
    to += row_put(to, event->num, EVENT_NUMS, event->text, EVENT_TEXTS);
    buf->len = (size_t)(to - buf->at);
    DCHECK(buf->len <= buf->capacity);
}

int event_get(const unsigned char **at, const unsigned char *end, struct event *event)
{
    struct cursor cursor = {*at, end};
    uint64_t type = 0;
    if (row_cursor_num(&cursor, &event->lsn) != 0 ||
        row_cursor_num(&cursor, &event->time_ms) != 0 || row_cursor_num(&cursor, &type) != 0 ||
        type >= RECORD_TYPES || record_type_name((unsigned)type) == NULL) {
        return TALLY_CORRUPT;
    }
    event->type = (enum record_type)type;
    int err = row_cursor_row(&cursor, event->num, EVENT_NUMS, event->text, EVENT_TEXTS);
    *at = cursor.at;
    return err;
}

uint64_t event_last_lsn(struct span events)
{
    const unsigned char *at = (const unsigned char *)events.at;
    const unsigned char *end = at + events.len;
    struct event event = {0};
    while (at != end && event_get(&at, end, &event) == 0) {
    }
    return event.lsn;
}
