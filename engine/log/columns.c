/* Encoding and decoding of a block by columns. */
#include "engine/log/columns.h"

#include "engine/log/row.h"
#include "wal/base/check.h"

#include <stdbool.h>
#include <stdlib.h>

enum { KINDS, OPTIONS, BEFORES, NS, REST };
enum { KIND_IN_REST = 0x40, GUESSES_FEW = 64 };

static int reserve(struct column *column, size_t more)
{
    return row_bytes_reserve(&column->at, &column->capacity, column->len, more);
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

/* Guesses the `before` of a vote: the votes that the last vote of this option in the block has
 * left. Encoder and decoder guess, and learn, in the same order. */
static uint64_t guess_before(const struct vote_guess *guess, uint64_t option)
{
    const struct vote_guess *at = &guess[option % VOTE_GUESSES];
    return at->option == option ? at->after : 0;
}

static void guess_learn(struct vote_guess *guess, uint64_t option, uint64_t after)
{
    guess[option % VOTE_GUESSES] = (struct vote_guess){option, after};
}

/* Notes which places of the guesses this block uses, so that the next one clears only those. */
static void guess_note(struct columns *columns, uint64_t option)
{
    unsigned place = (unsigned)(option % VOTE_GUESSES);
    if (columns->guess[place].option == 0) {
        DCHECK(columns->guessed_count < VOTE_GUESSES); /* each place once */
        columns->guessed[columns->guessed_count++] = (unsigned char)place;
    }
}

static void guess_clear(struct columns *columns)
{
    if (columns->guessed_count > GUESSES_FEW) {
        memset(columns->guess, 0, sizeof columns->guess);
    } else {
        for (uint32_t i = 0; i < columns->guessed_count; i++) {
            columns->guess[columns->guessed[i]] = (struct vote_guess){0, 0};
        }
    }
    columns->guessed_count = 0;
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
    guess_clear(columns);
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
    guess_note(columns, option);
    guess_learn(columns->guess, option, before + n);
    add_varint(&c[NS], n);
    columns->count++;
    return 0;
}

int columns_add(struct columns *columns, const struct record *record)
{
    const struct span *text = record->text;
    if (record->type == RECORD_VOTE && row_texts(text, RECORD_TEXTS) == 0) {
        return columns_vote(columns, record->num[VOTE_OPTION], record->num[VOTE_BEFORE],
                            (uint32_t)record->num[VOTE_N]);
    }
    struct column *kinds = &columns->column[KINDS];
    struct column *rest = &columns->column[REST];
    if (reserve(kinds, 1) != 0 ||
        reserve(rest, row_bytes_max(RECORD_NUMS, text, RECORD_TEXTS)) != 0) {
        return TALLY_NOMEM;
    }
    unsigned flag = record->type == RECORD_VOTE ? KIND_IN_REST : 0;
    kinds->at[kinds->len++] = (unsigned char)((unsigned)record->type | flag);
    rest->len += row_put(rest->at + rest->len, record->num, RECORD_NUMS, text, RECORD_TEXTS);
    columns->count++;
    return 0;
}

int columns_end(struct columns *columns, const unsigned char **block, size_t *len)
{
    size_t need = columns_bytes(columns) + (COLUMNS + 1) * VARINT_BYTES_MAX;
    if (row_bytes_reserve(&columns->block, &columns->block_capacity, 0, need) != 0) {
        return TALLY_NOMEM;
    }
    struct column out = {columns->block, 0, columns->block_capacity};
    add_varint(&out, columns->time_ms);
    for (int i = 0; i < COLUMNS; i++) {
        columns->votes_len = out.len; /* at last: where `rest` begins */
        add_varint(&out, columns->column[i].len);
        add_bytes(&out, columns->column[i].at, columns->column[i].len);
    }
    DCHECK(out.len <= need);
    *block = out.at;
    *len = out.len;
    return 0;
}

struct decoder {
    struct cursor column[COLUMNS];
    struct vote_guess guess[VOTE_GUESSES];
};

/* Reads the varint at in->at, which moves behind it. Fast for a short one with bytes behind it. */
static inline int take_fast(struct cursor *in, uint64_t *v)
{
    const unsigned char *p = in->at;
    if (in->end - p < 4) {
        return row_cursor_num(in, v);
    }
    uint64_t sum = p[0] & 0x7fU;
    if (p[0] < 0x80) {
        in->at = p + 1;
    } else if (p[1] < 0x80) {
        sum |= (uint64_t)p[1] << 7;
        in->at = p + 2;
    } else if (p[2] < 0x80) {
        sum |= (uint64_t)(p[1] & 0x7fU) << 7 | (uint64_t)p[2] << 14;
        in->at = p + 3;
    } else {
        return row_cursor_num(in, v);
    }
    *v = sum;
    return 0;
}

/* Decodes the next votes. */
static int take_votes(struct decoder *d, uint64_t *option, uint64_t *before, uint64_t *n,
                      uint32_t count)
{
    struct cursor options = d->column[OPTIONS];
    struct cursor befores = d->column[BEFORES];
    struct cursor ns = d->column[NS];
    for (uint32_t i = 0; i < count; i++) {
        if (take_fast(&options, &option[i]) != 0 || take_fast(&befores, &before[i]) != 0 ||
            take_fast(&ns, &n[i]) != 0) {
            return TALLY_CORRUPT;
        }
        before[i] += guess_before(d->guess, option[i]);
        guess_learn(d->guess, option[i], before[i] + n[i]);
    }
    d->column[OPTIONS] = options;
    d->column[BEFORES] = befores;
    d->column[NS] = ns;
    return 0;
}

static int take_record(struct decoder *d, unsigned kind, struct record *record)
{
    if (kind == RECORD_VOTE) {
        memset(record->num, 0, sizeof record->num);
        memset(record->text, 0, sizeof record->text);
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
    return row_cursor_row(&d->column[REST], record->num, RECORD_NUMS, record->text, RECORD_TEXTS);
}

/* Takes the votes from record `from` on, up to the first other record and to VOTE_RUN_MAX. */
static int take_run(struct decoder *d, uint32_t from, uint32_t count, struct vote_run *run)
{
    DCHECK(from < count);
    const unsigned char *kinds = d->column[KINDS].at + from;
    uint32_t most = count - from < VOTE_RUN_MAX ? count - from : VOTE_RUN_MAX;
    run->count = 0;
    while (run->count < most && kinds[run->count] == RECORD_VOTE) {
        run->count++;
    }
    return take_votes(d, run->option, run->before, run->n, run->count);
}

/* Finds the first columns of a block; *whole moves behind them. */
static int open_columns(struct cursor *whole, int columns, uint64_t *time_ms, struct decoder *d)
{
    if (row_cursor_num(whole, time_ms) != 0) {
        return TALLY_CORRUPT;
    }
    for (int i = 0; i < columns; i++) {
        struct span bytes;
        if (row_cursor_bytes(whole, &bytes) != 0) {
            return TALLY_CORRUPT;
        }
        const unsigned char *at = (const unsigned char *)bytes.at;
        d->column[i] = (struct cursor){at, at + bytes.len};
    }
    return 0;
}

static int open_block(const void *block, size_t len, uint32_t count, uint64_t *time_ms,
                      struct decoder *d)
{
    struct cursor whole = {block, (const unsigned char *)block + len};
    int err = open_columns(&whole, COLUMNS, time_ms, d);
    const struct cursor *kinds = &d->column[KINDS];
    bool fits = err == 0 && whole.at == whole.end && kinds->end - kinds->at == (ptrdiff_t)count;
    return fits ? 0 : TALLY_CORRUPT;
}

int columns_head(const void *block, size_t len, uint32_t count, uint64_t *time_ms,
                 const unsigned char **types)
{
    struct decoder d;
    int err = open_block(block, len, count, time_ms, &d);
    if (err == 0) {
        *types = d.column[KINDS].at;
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
        if (visitor->votes != NULL && d.column[KINDS].at[i] == RECORD_VOTE) {
            run.first_lsn = first_lsn + i;
            err = take_run(&d, i, count, &run);
            err = err != 0 ? err : visitor->votes(visitor->arg, &run);
            i += run.count;
        } else {
            record.lsn = first_lsn + i;
            err = visit_record(&d, d.column[KINDS].at[i++], &record, visitor);
        }
    }
    for (int i = OPTIONS; i < COLUMNS && err == 0; i++) {
        err = d.column[i].at == d.column[i].end ? 0 : TALLY_CORRUPT;
    }
    return err;
}

int columns_decode(const void *block, size_t len, uint64_t first_lsn, uint32_t count,
                   int (*fn)(void *arg, const struct record *record), void *arg)
{
    const struct columns_visitor visitor = {.record = fn, .arg = arg};
    return columns_visit(block, len, first_lsn, count, &visitor);
}

int columns_votes_len(const void *block, size_t len, size_t *votes_len)
{
    struct cursor whole = {block, (const unsigned char *)block + len};
    struct decoder d;
    uint64_t time_ms = 0;
    int err = open_columns(&whole, REST, &time_ms, &d);
    *votes_len = (size_t)(whole.at - (const unsigned char *)block);
    return err;
}

int columns_visit_votes(const void *block, size_t votes_len, uint64_t first_lsn, uint32_t count,
                        const struct columns_visitor *visitor)
{
    struct cursor whole = {block, (const unsigned char *)block + votes_len};
    struct decoder d;
    struct vote_run run;
    int err = open_columns(&whole, REST, &run.time_ms, &d);
    const struct cursor *kinds = &d.column[KINDS];
    if (err != 0 || kinds->end - kinds->at != (ptrdiff_t)count) {
        return TALLY_CORRUPT;
    }
    memset(d.guess, 0, sizeof d.guess);
    for (uint32_t i = 0; i < count && err == 0;) {
        if (kinds->at[i] != RECORD_VOTE) {
            i++;
            continue;
        }
        run.first_lsn = first_lsn + i;
        err = take_run(&d, i, count, &run);
        err = err != 0 ? err : visitor->votes(visitor->arg, &run);
        i += run.count;
    }
    return err;
}
