/* Plain votes, votes of voters and votes with keys race for the same options: each is counted once,
 * each key and each voter once, and all numbers that were told fit together. */
#include "engine/log/columns.h"
#include "tests/engine/handle.h"
#include "tests/lib/seed.h"
#include "wal/wal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef ASKS_A_PASS
#define ASKS_A_PASS 12
#define ASKS_MIN    1
#define KINDS       (CAST_BACK + 1)
#else /* with short lanes: more steps of the committer than its own lane takes */
#define ASKS_MIN ASKS_A_PASS
#define KINDS    (CAST_KEY + 1)
#endif

enum {
    THREADS = 3,
    PASSES = 250,
    KEYS = 300,
    VOTERS = 400,
    TOLD_MAX = THREADS * PASSES * ASKS_A_PASS,
};

enum { FREE_1 = 1, FREE_2, ONCE_1, ONCE_2, CHANGE_1, CHANGE_2, OPTIONS = CHANGE_2 };

static pthread_barrier_t start;

/* Votes that were told: the count after them, and how many they were. */
struct counted {
    uint64_t after;
    uint64_t n;
};

struct ballot_caster {
    struct tally *tally;
    struct seed seed;
    pthread_t thread;
    struct counted told[FREE_2 + 1][PASSES * ASKS_A_PASS];
    size_t told_count[FREE_2 + 1];
    uint64_t key_after[KEYS]; /* what the key's requests were told; 0: nothing yet */
    unsigned key_firsts[KEYS];
    unsigned once[VOTERS]; /* ballots of the voter that were taken */
    uint64_t once_votes;
};

static struct ballot_caster casters[THREADS];

/* A request of a pass, and what it was. */
struct cast {
    enum cast_kind { CAST_PLAIN, CAST_VOTER, CAST_KEY, CAST_ONCE, CAST_CHANGE, CAST_BACK } kind;
    uint64_t option;
    uint64_t n;
    unsigned who; /* number of the key or the voter */
    struct edge_vote vote;
    uint64_t pos;
};

static void tell(struct ballot_caster *caster, uint64_t option, uint64_t after, uint64_t n)
{
    size_t at = caster->told_count[option]++;
    EXPECT(at < PASSES * ASKS_A_PASS, "too many votes");
    caster->told[option][at] = (struct counted){after, n};
}

/* Asks for one thing, and remembers how to read the answer. */
static void ask(struct ballot_caster *caster, struct edge *edge, struct cast *cast)
{
    char name[16];
    struct edge_ballot ballot = {.option_count = 1, .n = 1};
    cast->kind = (enum cast_kind)seed_below(&caster->seed, KINDS);
    cast->option = 1 + seed_below(&caster->seed, 2);
    cast->n = 1 + seed_below(&caster->seed, 3);
    cast->who = (unsigned)seed_below(&caster->seed, VOTERS);
    if (cast->kind == CAST_KEY) { /* keys that are near each other in time, from all threads */
        cast->who = (unsigned)((edge_tail(edge) / 8 + seed_below(&caster->seed, 4)) % KEYS);
        cast->option = FREE_1 + cast->who % 2;
        cast->n = 2;
    }
    snprintf(name, sizeof name, "n%u", cast->who);
    struct span word = span_of(name);
    int err = 0;
    switch (cast->kind) {
    case CAST_PLAIN:
        err = edge_vote(edge, cast->option, cast->n, &cast->vote);
        break;
    case CAST_VOTER:
    case CAST_KEY:
        ballot.n = cast->n;
        ballot.options[0] = cast->option;
        *(cast->kind == CAST_KEY ? &ballot.key : &ballot.voter) = word;
        err = edge_ballot(edge, &ballot);
        break;
    case CAST_ONCE:
        ballot.options[0] = ONCE_1;
        ballot.options[1] = ONCE_2;
        ballot.option_count = (unsigned)cast->option;
        ballot.voter = word;
        err = edge_ballot(edge, &ballot);
        break;
    case CAST_CHANGE:
        ballot.options[0] = CHANGE_1 + cast->option - 1;
        ballot.voter = word;
        err = edge_ballot(edge, &ballot);
        break;
    case CAST_BACK:
        err = edge_unvote(edge, SPAN("change"), word, SPAN(""));
        break;
    }
    EXPECT(err == 0, "request %d: %s", (int)cast->kind, tally_err_name(err));
    cast->pos = edge_tail(edge);
}

/* Reads the answer to an ordered request. */
static void hear(struct ballot_caster *caster, struct handle *handle, const struct cast *cast)
{
    struct edge_result result;
    int err = edge_apply_result(handle->edge, cast->pos, &result);
    while (err == TALLY_PARK) {
        handle_wait(handle);
        err = edge_apply_result(handle->edge, cast->pos, &result);
    }
    switch (cast->kind) {
    case CAST_ONCE:
        EXPECT(err == 0 || err == TALLY_VOTED, "once: %s", tally_err_name(err));
        if (err == 0) {
            caster->once[cast->who]++;
            caster->once_votes += result.value_count;
            EXPECT(result.value_count == cast->option, "%u counts", result.value_count);
        }
        break;
    case CAST_KEY:
        EXPECT(err == 0, "key: %s", tally_err_name(err));
        EXPECT(caster->key_after[cast->who] == 0 || caster->key_after[cast->who] == result.value,
               "key %u was told two numbers", cast->who);
        caster->key_after[cast->who] = result.value;
        if (!result.dup) {
            caster->key_firsts[cast->who]++;
            tell(caster, cast->option, result.value, cast->n);
        }
        break;
    case CAST_VOTER:
        EXPECT(err == 0 && !result.dup, "voter: %s", tally_err_name(err));
        tell(caster, cast->option, result.value, cast->n);
        break;
    case CAST_CHANGE:
        EXPECT(err == 0 && result.prev_count <= 1, "change: %s", tally_err_name(err));
        break;
    case CAST_BACK:
        EXPECT(err == 0, "unvote: %s", tally_err_name(err));
        break;
    case CAST_PLAIN:
        break;
    }
}

static void cast_pass(struct ballot_caster *caster, struct handle *handle)
{
    struct cast casts[ASKS_A_PASS];
    unsigned count = ASKS_MIN + (unsigned)seed_below(&caster->seed, ASKS_A_PASS - ASKS_MIN + 1);
    for (unsigned i = 0; i < count; i++) {
        ask(caster, handle->edge, &casts[i]);
    }
    edge_flush(handle->edge);
    for (unsigned i = 0; i < count; i++) {
        if (casts[i].kind == CAST_PLAIN) {
            tell(caster, casts[i].option, edge_votes_after(handle->edge, casts[i].vote),
                 casts[i].n);
        }
    }
    edge_publish(handle->edge);
    while (edge_applied(handle->edge) < edge_tail(handle->edge)) {
        handle_wait(handle);
    }
    for (unsigned i = 0; i < count; i++) {
        if (casts[i].kind != CAST_PLAIN) {
            hear(caster, handle, &casts[i]);
        }
    }
    edge_free(handle->edge, edge_applied(handle->edge));
}

static void *caster_main(void *arg)
{
    struct ballot_caster *caster = arg;
    struct handle handle;
    handle_open(&handle, caster->tally);
    pthread_barrier_wait(&start);
    for (int i = 0; i < PASSES; i++) {
        cast_pass(caster, &handle);
    }
    handle_close(&handle);
    return NULL;
}

/* ---- what must be true behind the end ---- */

static int by_after(const void *a, const void *b)
{
    uint64_t x = ((const struct counted *)a)->after;
    uint64_t y = ((const struct counted *)b)->after;
    return (x > y) - (x < y);
}

/* The votes of a free option that were told are 1, 2, 3 ... without a gap. Returns how many. */
static uint64_t check_chain(uint64_t option)
{
    static struct counted all[TOLD_MAX];
    size_t count = 0;
    uint64_t votes = 0;
    for (int i = 0; i < THREADS; i++) {
        memcpy(all + count, casters[i].told[option], casters[i].told_count[option] * sizeof all[0]);
        count += casters[i].told_count[option];
    }
    qsort(all, count, sizeof all[0], by_after);
    for (size_t i = 0; i < count; i++) {
        votes += all[i].n;
        EXPECT(all[i].after == votes, "option %lu: %lu votes after %lu more than %lu",
               (unsigned long)option, (unsigned long)all[i].after, (unsigned long)all[i].n,
               (unsigned long)(votes - all[i].n));
    }
    return votes;
}

static void check_keys(void)
{
    unsigned used = 0;
    for (unsigned k = 0; k < KEYS; k++) {
        uint64_t after = 0;
        unsigned firsts = 0;
        for (int i = 0; i < THREADS; i++) {
            uint64_t told = casters[i].key_after[k];
            EXPECT(told == 0 || after == 0 || told == after, "key %u was told two numbers", k);
            after = told != 0 ? told : after;
            firsts += casters[i].key_firsts[k];
        }
        EXPECT(firsts == (after != 0 ? 1 : 0), "key %u was counted %u times", k, firsts);
        used += after != 0;
    }
    EXPECT(used > 10, "%u keys", used);
}

/* Each voter at most once. Returns the votes. */
static uint64_t check_once(void)
{
    uint64_t votes = 0;
    for (unsigned v = 0; v < VOTERS; v++) {
        unsigned taken = 0;
        for (int i = 0; i < THREADS; i++) {
            taken += casters[i].once[v];
        }
        EXPECT(taken <= 1, "voter %u has voted %u times", v, taken);
    }
    for (int i = 0; i < THREADS; i++) {
        votes += casters[i].once_votes;
    }
    return votes;
}

/* The voters who have a vote in the poll of mode change, by the records. */
static bool has_vote[VOTERS];

static int fold_record(void *arg, const struct record *record)
{
    (void)arg;
    bool is_ballot = record->type == RECORD_BALLOT && record->num[BALLOT_OPTION] >= CHANGE_1;
    if (is_ballot || record->type == RECORD_UNVOTE) {
        struct span voter = record->text[is_ballot ? BALLOT_VOTER : UNVOTE_VOTER];
        char name[16] = "";
        EXPECT(voter.len < sizeof name, "a voter of %zu bytes", voter.len);
        memcpy(name, voter.at, voter.len);
        has_vote[strtoull(name + 1, NULL, 10) % VOTERS] = is_ballot;
    }
    return 0;
}

static int fold_block(void *arg, const struct wal_block *block)
{
    return block->count == 0 ? 0
                             : columns_decode(block->raw, block->raw_bytes, block->first_lsn,
                                              block->count, fold_record, arg);
}

static uint64_t voters_in_log(const char *dir)
{
    struct wal_io *io;
    struct wal_report report;
    uint64_t voters = 0;
    EXPECT(wal_file_io_new(&io, dir, 0) == 0, "wal_file_io_new");
    EXPECT(wal_reader_once(io, fold_block, NULL, &report) == 0, "%s", report.text);
    io->ops->destroy(io);
    for (unsigned v = 0; v < VOTERS; v++) {
        voters += has_vote[v];
    }
    return voters;
}

static void expect_total(struct handle *handle, const char *poll, uint64_t total)
{
    struct read_tally r;
    uint64_t sum = 0;
    read_tally_init(&r, span_of(poll), SIZE_MAX);
    int err = handle_read(handle, &r.read);
    for (size_t i = 0; i < r.row_count; i++) {
        sum += r.rows[i].votes;
    }
    EXPECT(err == 0 && r.total == total && sum == total, "%s: %s, %lu votes, %lu in all, not %lu",
           poll, tally_err_name(err), (unsigned long)r.total, (unsigned long)sum,
           (unsigned long)total);
    read_tally_fini(&r);
}

static void make_poll(struct handle *handle, const char *poll, int64_t mode)
{
    const struct edge_poll poll_ask = {span_of(poll), EDGE_KEEP, EDGE_KEEP,
                                       EDGE_KEEP,     EDGE_KEEP, mode};
    int err = handle_result(handle, edge_poll(handle->edge, &poll_ask), NULL);
    EXPECT(err == 0, "poll: %s", tally_err_name(err));
    (void)handle_option(handle, poll, "one");
    EXPECT(handle_option(handle, poll, "two") <= OPTIONS, "an option's id");
}

/* What the state must be, in the engine that took the votes and in the next one. */
static void check_totals(struct handle *handle, uint64_t free_votes, uint64_t once, uint64_t change)
{
    expect_total(handle, "free", free_votes);
    expect_total(handle, "once", once);
    expect_total(handle, "change", change);
}

int main(void)
{
    char dir[256];
    struct handle handle;
    files_temp_dir(dir, sizeof(dir));
    struct tally *tally = handle_engine(dir, THREADS + 1);
    handle_open(&handle, tally);
    make_poll(&handle, "free", POLL_FREE);
    make_poll(&handle, "once", POLL_ONCE);
    make_poll(&handle, "change", POLL_CHANGE);
    handle_close(&handle);
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        casters[i].tally = tally;
        casters[i].seed = (struct seed){(uint64_t)i + 1};
        EXPECT(pthread_create(&casters[i].thread, NULL, caster_main, &casters[i]) == 0, "thread");
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(casters[i].thread, NULL);
    }
    uint64_t free_votes = check_chain(FREE_1) + check_chain(FREE_2);
    uint64_t once = check_once();
    check_keys();
    EXPECT(tally_close(tally) == 0, "close");
    uint64_t change = voters_in_log(dir);
    tally = handle_engine(dir, 2);
    handle_open(&handle, tally);
    check_totals(&handle, free_votes, once, change);
    handle_close(&handle);
    EXPECT(tally_close(tally) == 0, "close");
    EXPECT(files_remove_tree(dir), "the directory stays");
    printf("%lu votes in the free poll, %lu once, %lu voters of the other\n",
           (unsigned long)free_votes, (unsigned long)once, (unsigned long)change);
    return 0;
}
