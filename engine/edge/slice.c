/* Rows of a read: they grow slice by slice, and the rows of a slice that was not whole are dropped.
 */
#include "engine/edge/slice.h"

#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

enum { TEXT_BYTES_FIRST = 1024, TEXT_BYTES = 16 * 1024 }; /* of one allocation */

struct read_text {
    struct read_text *before;
    size_t used;
    size_t capacity;
    char at[];
};

/* Drops the texts that were added after the position (to, used). */
static void texts_back(struct read_rows *rows, struct read_text *to, size_t used)
{
    while (rows->text != to) {
        struct read_text *before = rows->text->before;
        free(rows->text);
        rows->text = before;
    }
    if (to != NULL) {
        DCHECK(used <= to->used); /* rows only grow within a slice */
        to->used = used;
    }
}

static void parcels_back(struct read_rows *rows, size_t to)
{
    DCHECK(rows->parcel_count >= to);
    while (rows->parcel_count > to) {
        parcel_release(rows->parcels[--rows->parcel_count]);
    }
}

/* Counts the bytes of the rows in the ledger. */
static void count(struct read *read)
{
    const struct read_rows *rows = &read->rows;
    size_t bytes = rows->capacity * rows->size + rows->parcel_capacity * sizeof(struct parcel *);
    for (const struct read_text *text = rows->text; text != NULL; text = text->before) {
        bytes += sizeof *text + text->capacity;
    }
    if (bytes != read->counted) {
        ledger_add(read->ledger, LEDGER_REPLIES, bytes - read->counted);
        read->counted = bytes;
    }
}

bool slice_make(struct read *read, const struct state *state)
{
    const struct read_rows before = read->rows;
    size_t used = before.text != NULL ? before.text->used : 0;
    uint64_t next = read->next;
    uint64_t mark = 0;
    if (!seq_read_begin(&state->seq, &mark)) {
        return false;
    }
    read->lsn = FIELD_GET(state->lsn);
    read->err = read->run(read, state);
    bool is_whole = seq_read_is_valid(&state->seq, mark);
    if (!is_whole) {
        read->next = next;
        read->rows.count = before.count;
        texts_back(&read->rows, before.text, used);
        parcels_back(&read->rows, before.parcel_count);
    } else if (read->err == 0 && read->settle != NULL) {
        read->err = read->settle(read);
    }
    count(read);
    return is_whole;
}

static void order(struct read *read)
{
    struct read_rows *rows = &read->rows;
    if (read->compare != NULL && rows->count > 1) {
        qsort(rows->at, rows->count, rows->size, read->compare);
    }
    rows->count = rows->count < read->wanted ? rows->count : read->wanted;
}

void slice_trim(struct read *read)
{
    /* sorting after so many makes each row be sorted twice or so */
    if (read->rows.count / 2 > read->wanted) {
        order(read);
    }
}

void slice_end(struct read *read)
{
    DCHECK(read->err <= 0); /* the read has ended: neither READ_MORE nor READ_BESIDE */
    if (read->err == 0) {
        order(read);
    }
    DCHECK(read->err != 0 || read->rows.count <= read->wanted);
    count(read);
    read->end(read);
}

void slice_empty(struct read *read, size_t size)
{
    DCHECK(read->rows.parcel_count == 0);
    texts_back(&read->rows, NULL, 0);
    free(read->rows.at);
    read->rows.at = NULL;
    read->rows.count = 0;
    read->rows.capacity = 0;
    read->rows.size = size;
}

void slice_fini(struct read *read)
{
    texts_back(&read->rows, NULL, 0);
    parcels_back(&read->rows, 0);
    free(read->rows.at);
    free((void *)read->rows.parcels);
    read->rows = (struct read_rows){.size = read->rows.size};
    count(read);
}

void *slice_row(struct read *read)
{
    struct read_rows *rows = &read->rows;
    if (rows->count == rows->capacity) {
        size_t capacity = rows->capacity * 2 + 16;
        void *grown = realloc(rows->at, capacity * rows->size);
        if (grown == NULL) {
            return NULL;
        }
        rows->at = grown;
        rows->capacity = capacity;
    }
    DCHECK(rows->size > 0 && rows->count < rows->capacity);
    void *row = (char *)rows->at + rows->count++ * rows->size;
    memset(row, 0, rows->size);
    return row;
}

struct span slice_parcel(struct read *read, struct parcel *parcel)
{
    struct read_rows *rows = &read->rows;
    if (rows->parcel_count == rows->parcel_capacity) {
        size_t capacity = rows->parcel_capacity * 2 + 16;
        struct parcel **grown = realloc((void *)rows->parcels, capacity * sizeof(struct parcel *));
        if (grown == NULL) {
            return (struct span){NULL, 0};
        }
        rows->parcels = grown;
        rows->parcel_capacity = capacity;
    }
    DCHECK(rows->parcel_count < rows->parcel_capacity);
    rows->parcels[rows->parcel_count++] = parcel_hold(parcel);
    return parcel_span(parcel);
}

struct span slice_text(struct read *read, struct span text)
{
    struct read_text *at = read->rows.text;
    if (at == NULL || at->capacity - at->used < text.len) {
        size_t capacity = at == NULL ? TEXT_BYTES_FIRST : TEXT_BYTES;
        capacity = text.len > capacity ? text.len : capacity;
        struct read_text *more = malloc(sizeof *more + capacity);
        if (more == NULL) {
            return (struct span){NULL, 0};
        }
        *more = (struct read_text){.before = at, .capacity = capacity};
        read->rows.text = at = more;
    }
    DCHECK(at->capacity - at->used >= text.len);
    char *to = at->at + at->used;
    if (text.len > 0) {
        memcpy(to, text.at, text.len);
    }
    at->used += text.len;
    return (struct span){to, text.len};
}
