/* Encoding and decoding of a block by columns. */
#include "engine/columns.h"

#include "wal/base/bytes.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdbool.h>
#include <stdlib.h>

enum { KINDS, OPTIONS, BEFORES, NS, REST };
enum { KIND_IN_REST = 0x40 };

static int reserve(struct column *column, size_t more)
{
    if (column->room - column->len >= more) {
        return 0;
    }
    size_t room = (column->len + more) * 2 + 4096;
    unsigned char *at = realloc(column->at, room);
    if (at == NULL) {
        return TALLY_NOMEM;
    }
    column->at = at;
    column->room = room;
    return 0;
}

static void add_varint(struct column *column, uint64_t v)
{
    column->len += put_varint(column->at + column->len, v);
}

static void add_bytes(struct column *column, const void *bytes, size_t len)
{
    if (len > 0) {
        memcpy(column->at + column->len, bytes, len);
        column->len += len;
    }
}

/* What `before` will be if nobody else votes in between; then after is what this vote leaves. Both
 * sides do it in the same order. */
static uint64_t guess_before(const struct vote_guess *guess, uint64_t option)
{
    const struct vote_guess *at = &guess[option % VOTE_GUESSES];
    return at->option == option ? at->after : 0;
}

static void guess_learn(struct vote_guess *guess, uint64_t option, uint64_t after)
{
    guess[option % VOTE_GUESSES] = (struct vote_guess){option, after};
}

void columns_fini(struct columns *columns)
{
    for (int i = 0; i < COLUMNS; i++) {
        free(columns->column[i].at);
    }
    free(columns->block);
    *columns = (struct columns){0};
}

void columns_begin(struct columns *columns, uint64_t time_ms)
{
    for (int i = 0; i < COLUMNS; i++) {
        columns->column[i].len = 0;
    }
    memset(columns->guess, 0, sizeof columns->guess);
    columns->count = 0;
    columns->time_ms = time_ms;
}

size_t columns_bytes(const struct columns *columns)
{
    size_t sum = 0;
    for (int i = 0; i < COLUMNS; i++) {
        sum += columns->column[i].len;
    }
    return sum;
}

int columns_vote(struct columns *columns, uint64_t option, uint64_t before, uint32_t n)
{
    struct column *c = columns->column;
    if (reserve(&c[KINDS], 1) != 0 || reserve(&c[OPTIONS], VARINT_BYTES_MAX) != 0 ||
        reserve(&c[BEFORES], VARINT_BYTES_MAX) != 0 || reserve(&c[NS], VARINT_BYTES_MAX) != 0) {
        return TALLY_NOMEM;
    }
    c[KINDS].at[c[KINDS].len++] = RECORD_VOTE;
    add_varint(&c[OPTIONS], option);
    add_varint(&c[BEFORES], before - guess_before(columns->guess, option));
    guess_learn(columns->guess, option, before + n);
    add_varint(&c[NS], n);
    columns->count++;
    return 0;
}

/* What a type does not use is 0 and empty, so counting from the end of the room needs no table. */
static unsigned nums_used(const struct record *record)
{
    unsigned used = RECORD_NUMS;
    while (used > 0 && record->num[used - 1] == 0) {
        used--;
    }
    return used;
}

static unsigned texts_used(const struct record *record)
{
    unsigned used = RECORD_TEXTS;
    while (used > 0 && record->text[used - 1].len == 0) {
        used--;
    }
    return used;
}

int columns_add(struct columns *columns, const struct record *record)
{
    unsigned nums = nums_used(record);
    unsigned texts = texts_used(record);
    if (record->type == RECORD_VOTE && texts == 0) {
        return columns_vote(columns, record->num[VOTE_OPTION], record->num[VOTE_BEFORE],
                            (uint32_t)record->num[VOTE_N]);
    }
    struct column *kinds = &columns->column[KINDS];
    struct column *rest = &columns->column[REST];
    size_t need = 2 + (size_t)(nums + texts) * VARINT_BYTES_MAX;
    for (unsigned i = 0; i < texts; i++) {
        need += record->text[i].len;
    }
    if (reserve(kinds, 1) != 0 || reserve(rest, need) != 0) {
        return TALLY_NOMEM;
    }
    unsigned flag = record->type == RECORD_VOTE ? KIND_IN_REST : 0;
    kinds->at[kinds->len++] = (unsigned char)((unsigned)record->type | flag);
    add_varint(rest, nums);
    for (unsigned i = 0; i < nums; i++) {
        add_varint(rest, record->num[i]);
    }
    add_varint(rest, texts);
    for (unsigned i = 0; i < texts; i++) {
        add_varint(rest, record->text[i].len);
        add_bytes(rest, record->text[i].at, record->text[i].len);
    }
    columns->count++;
    return 0;
}

int columns_end(struct columns *columns, const unsigned char **block, size_t *len)
{
    size_t need = columns_bytes(columns) + (COLUMNS + 1) * VARINT_BYTES_MAX;
    if (need > columns->block_room) {
        unsigned char *grown = realloc(columns->block, need * 2);
        if (grown == NULL) {
            return TALLY_NOMEM;
        }
        columns->block = grown;
        columns->block_room = need * 2;
    }
    struct column out = {columns->block, 0, columns->block_room};
    add_varint(&out, columns->time_ms);
    for (int i = 0; i < COLUMNS; i++) {
        add_varint(&out, columns->column[i].len);
        add_bytes(&out, columns->column[i].at, columns->column[i].len);
    }
    *block = out.at;
    *len = out.len;
    return 0;
}

struct cut {
    const unsigned char *at;
    const unsigned char *end;
};

struct decoder {
    struct cut cuts[COLUMNS];
    struct vote_guess guess[VOTE_GUESSES];
};

static int take(struct cut *cut, uint64_t *v)
{
    return get_varint(&cut->at, cut->end, v) == 0 ? 0 : TALLY_CORRUPT;
}

static int take_bytes(struct cut *cut, struct span *bytes)
{
    uint64_t len = 0;
    if (take(cut, &len) != 0 || len > (uint64_t)(cut->end - cut->at)) {
        return TALLY_CORRUPT;
    }
    *bytes = (struct span){(const char *)cut->at, (size_t)len};
    cut->at += len;
    return 0;
}

static int take_rest(struct cut *rest, struct record *record)
{
    uint64_t nums = 0;
    uint64_t texts = 0;
    if (take(rest, &nums) != 0 || nums > RECORD_NUMS) {
        return TALLY_CORRUPT;
    }
    for (uint64_t i = 0; i < nums; i++) {
        if (take(rest, &record->num[i]) != 0) {
            return TALLY_CORRUPT;
        }
    }
    if (take(rest, &texts) != 0 || texts > RECORD_TEXTS) {
        return TALLY_CORRUPT;
    }
    for (uint64_t i = 0; i < texts; i++) {
        if (take_bytes(rest, &record->text[i]) != 0) {
            return TALLY_CORRUPT;
        }
    }
    return 0;
}

/* The varint at cut->at, which moves behind it; most are short, and have room behind them. */
static inline int take_fast(struct cut *cut, uint64_t *v)
{
    const unsigned char *p = cut->at;
    if (cut->end - p < 4) {
        return take(cut, v);
    }
    uint64_t sum = p[0] & 0x7fU;
    if (p[0] < 0x80) {
        cut->at = p + 1;
    } else if (p[1] < 0x80) {
        sum |= (uint64_t)p[1] << 7;
        cut->at = p + 2;
    } else if (p[2] < 0x80) {
        sum |= (uint64_t)(p[1] & 0x7fU) << 7 | (uint64_t)p[2] << 14;
        cut->at = p + 3;
    } else {
        return take(cut, v);
    }
    *v = sum;
    return 0;
}

/* The next votes. */
static int take_votes(struct decoder *d, uint64_t *option, uint64_t *before, uint64_t *n,
                      uint32_t count)
{
    struct cut options = d->cuts[OPTIONS];
    struct cut befores = d->cuts[BEFORES];
    struct cut ns = d->cuts[NS];
    for (uint32_t i = 0; i < count; i++) {
        if (take_fast(&options, &option[i]) != 0 || take_fast(&befores, &before[i]) != 0 ||
            take_fast(&ns, &n[i]) != 0) {
            return TALLY_CORRUPT;
        }
        before[i] += guess_before(d->guess, option[i]);
        guess_learn(d->guess, option[i], before[i] + n[i]);
    }
    d->cuts[OPTIONS] = options;
    d->cuts[BEFORES] = befores;
    d->cuts[NS] = ns;
    return 0;
}

static int take_record(struct decoder *d, unsigned kind, struct record *record)
{
    memset(record->num, 0, sizeof record->num);
    memset(record->text, 0, sizeof record->text);
    if (kind == RECORD_VOTE) {
        record->type = RECORD_VOTE;
        return take_votes(d, &record->num[VOTE_OPTION], &record->num[VOTE_BEFORE],
                          &record->num[VOTE_N], 1);
    }
    if (kind == (RECORD_VOTE | KIND_IN_REST)) {
        kind = RECORD_VOTE;
    }
    bool known = record_type_name(kind) != NULL;
    if (!known && (kind & RECORD_SKIPPABLE) == 0) {
        return TALLY_NEWER;
    }
    record->type = known ? (enum record_type)kind : RECORD_NONE;
    return take_rest(&d->cuts[REST], record);
}

/* Takes the votes from record `from` on, up to the first other record and to VOTE_RUN_MAX. */
static int take_run(struct decoder *d, uint32_t from, uint32_t count, struct vote_run *run)
{
    const unsigned char *kinds = d->cuts[KINDS].at + from;
    uint32_t most = count - from < VOTE_RUN_MAX ? count - from : VOTE_RUN_MAX;
    run->count = 0;
    while (run->count < most && kinds[run->count] == RECORD_VOTE) {
        run->count++;
    }
    return take_votes(d, run->option, run->before, run->n, run->count);
}

static int open_block(const void *block, size_t len, uint32_t count, uint64_t *time_ms,
                      struct decoder *d)
{
    struct cut whole = {block, (const unsigned char *)block + len};
    if (take(&whole, time_ms) != 0) {
        return TALLY_CORRUPT;
    }
    for (int i = 0; i < COLUMNS; i++) {
        struct span bytes;
        if (take_bytes(&whole, &bytes) != 0) {
            return TALLY_CORRUPT;
        }
        const unsigned char *at = (const unsigned char *)bytes.at;
        d->cuts[i] = (struct cut){at, at + bytes.len};
    }
    const struct cut *kinds = &d->cuts[KINDS];
    bool fits = whole.at == whole.end && kinds->end - kinds->at == (ptrdiff_t)count;
    return fits ? 0 : TALLY_CORRUPT;
}

int columns_head(const void *block, size_t len, uint32_t count, uint64_t *time_ms,
                 const unsigned char **types)
{
    struct decoder d;
    int err = open_block(block, len, count, time_ms, &d);
    if (err == 0) {
        *types = d.cuts[KINDS].at;
    }
    return err;
}

static int visit_record(struct decoder *d, unsigned kind, struct record *record,
                        const struct columns_visitor *visitor)
{
    int err = take_record(d, kind, record);
    return err != 0 || record->type == RECORD_NONE ? err : visitor->record(visitor->arg, record);
}

int columns_visit(const void *block, size_t len, uint64_t first_lsn, uint32_t count,
                  const struct columns_visitor *visitor)
{
    struct record record = {0};
    struct vote_run run;
    struct decoder d;
    int err = open_block(block, len, count, &record.time_ms, &d);
    memset(d.guess, 0, sizeof d.guess);
    run.time_ms = record.time_ms;
    for (uint32_t i = 0; i < count && err == 0;) {
        if (visitor->votes != NULL && d.cuts[KINDS].at[i] == RECORD_VOTE) {
            run.first_lsn = first_lsn + i;
            err = take_run(&d, i, count, &run);
            err = err != 0 ? err : visitor->votes(visitor->arg, &run);
            i += run.count;
        } else {
            record.lsn = first_lsn + i;
            err = visit_record(&d, d.cuts[KINDS].at[i++], &record, visitor);
        }
    }
    for (int i = OPTIONS; i < COLUMNS && err == 0; i++) {
        err = d.cuts[i].at == d.cuts[i].end ? 0 : TALLY_CORRUPT;
    }
    return err;
}

int columns_decode(const void *block, size_t len, uint64_t first_lsn, uint32_t count,
                   int (*fn)(void *arg, const struct record *record), void *arg)
{
    const struct columns_visitor visitor = {.record = fn, .arg = arg};
    return columns_visit(block, len, first_lsn, count, &visitor);
}
