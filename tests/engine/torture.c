/* The engine under many threads, without a network: replies are checked against each other, and
 * against the state after a restart. */
#include "tests/engine/torture.h"

#include "wal/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { ACTORS = 8 + CLAIMERS + SHARERS };

static void *actor_main(void *arg)
{
    struct actor *actor = arg;
    struct handle handle = {NULL, NULL};
    if (!actor->no_handle) {
        handle_open(&handle, actor->t->tally);
    }
    pthread_barrier_wait(&actor->t->start);
    actor->run(actor, &handle);
    if (!actor->no_handle) {
        handle_close(&handle);
    }
    return NULL;
}

static void cast(struct torture *t, struct actor *actors)
{
    static void (*const roles[])(struct actor *, struct handle *) = {
        actor_vote,   actor_vote, actor_visit,  actor_visit,
        actor_create, actor_read, actor_submit, actor_fifo};
    for (unsigned i = 0; i < ACTORS; i++) {
        actors[i] = (struct actor){.t = t, .number = i, .seed = {t->seed * 1000 + i}};
        actors[i].run = i < 8 ? roles[i] : i < 8 + CLAIMERS ? actor_claim : actor_share;
        actors[i].no_handle = actors[i].run == actor_visit;
    }
}

/* ---- checks at the end ---- */

static void check_votes(const struct actor *actors, unsigned option, uint64_t total)
{
    unsigned char *seen = calloc(total + 1, 1);
    uint64_t count = 0;
    EXPECT(seen != NULL, "out of memory");
    for (unsigned a = 0; a < ACTORS; a++) {
        for (size_t i = 0; i < actors[a].told.count; i++) {
            const struct told *told = &actors[a].told.at[i];
            if (told->option != option) {
                continue;
            }
            EXPECT(told->after <= total && told->after >= told->n, "votes_after %lu of %lu",
                   (unsigned long)told->after, (unsigned long)total);
            for (uint32_t k = 0; k < told->n; k++) {
                EXPECT(seen[told->after - k]++ == 0, "votes_after %lu was told twice",
                       (unsigned long)(told->after - k));
                count++;
            }
        }
    }
    EXPECT(count == total, "option %u has %lu votes, %lu were told", option, (unsigned long)total,
           (unsigned long)count);
    free(seen);
}

/* The reads that are compared over a restart, and copies of their rows, since the rows of a read
 * end with the engine. */
struct engine_rows {
    struct read_tally votes;
    struct read_builds builds;
};

static void *copy_of(const void *rows, size_t bytes)
{
    void *copy = malloc(bytes + 1);
    EXPECT(copy != NULL, "out of memory");
    memcpy(copy, rows, bytes);
    return copy;
}

static void take_picture(struct handle *handle, struct engine_rows *picture)
{
    struct read_tally votes;
    struct read_builds builds;
    read_tally_init(&votes, SPAN("hot"), SIZE_MAX);
    read_builds_init(&builds);
    builds.count = SIZE_MAX;
    int err = handle_read(handle, &votes.read);
    EXPECT(err == 0, "TALLY: %s", tally_err_name(err));
    err = handle_read(handle, &builds.read);
    EXPECT(err == 0, "BUILDS: %s", tally_err_name(err));
    *picture = (struct engine_rows){votes, builds};
    picture->votes.rows = copy_of(votes.rows, votes.row_count * sizeof *votes.rows);
    picture->builds.rows = copy_of(builds.rows, builds.row_count * sizeof *builds.rows);
    read_tally_fini(&votes);
    read_builds_fini(&builds);
}

static void compare_pictures(const struct engine_rows *a, const struct engine_rows *b)
{
    EXPECT(a->builds.read.lsn == b->builds.read.lsn, "lsn %lu became %lu",
           (unsigned long)a->builds.read.lsn, (unsigned long)b->builds.read.lsn);
    EXPECT(a->votes.total == b->votes.total, "the total changed");
    for (size_t i = 0; i < a->votes.row_count; i++) {
        EXPECT(a->votes.rows[i].votes == b->votes.rows[i].votes, "the votes changed");
    }
    EXPECT(a->builds.row_count == b->builds.row_count, "%zu builds became %zu", a->builds.row_count,
           b->builds.row_count);
    for (size_t i = 0; i < a->builds.row_count; i++) {
        const struct build_row *x = &a->builds.rows[i];
        const struct build_row *y = &b->builds.rows[i];
        EXPECT(x->id == y->id && x->state == y->state && x->attempt == y->attempt &&
                   x->error.len == y->error.len && x->ended_ms == y->ended_ms,
               "build %lu changed", (unsigned long)x->id);
    }
}

static void engine_rows_fini(struct engine_rows *picture)
{
    free(picture->votes.rows);
    free(picture->builds.rows);
}

/* Waits until every lease has expired and every delay is over: nothing changes by itself then. */
static void wait_for_quiet(struct handle *handle)
{
    for (uint64_t moving = 1; moving > 0;) {
        struct read_queues r;
        read_queues_init(&r, (struct span){NULL, 0});
        int err = handle_read(handle, &r.read);
        EXPECT(err == 0, "QUEUES: %s", tally_err_name(err));
        moving = 0;
        for (size_t i = 0; i < r.row_count; i++) {
            moving += r.rows[i].by_state[BUILD_ASSIGNED] + r.rows[i].by_state[BUILD_BUILDING] +
                      r.rows[i].by_state[BUILD_DELAYED];
        }
        read_queues_fini(&r);
        if (moving > 0) {
            handle_wait(handle);
        }
    }
}

static void check_builds(struct torture *t, const struct engine_rows *picture)
{
    for (size_t i = 0; i < picture->builds.row_count; i++) {
        const struct build_row *row = &picture->builds.rows[i];
        const struct trace *trace = &t->builds[row->id];
        /* T7: relaxed: the threads have been joined */
        uint32_t done = atomic_load_explicit(&trace->done, memory_order_relaxed);
        uint32_t token = trace->token;
        EXPECT((row->state == BUILD_COMPLETED) == (done != 0), "build %lu is %s, done token %u",
               (unsigned long)row->id, status_state_name(row->state), done);
        EXPECT(done == 0 || done == token, "build %lu was claimed after it was done",
               (unsigned long)row->id);
    }
}

static void check_all(struct torture *t, struct actor *actors, const char *dir)
{
    struct handle handle;
    struct engine_rows before;
    struct engine_rows after;
    handle_open(&handle, t->tally);
    wait_for_quiet(&handle);
    take_picture(&handle, &before);
    for (size_t i = 0; i < before.votes.row_count; i++) {
        unsigned option = 0;
        while (t->option[option] != before.votes.rows[i].id) {
            option++;
        }
        check_votes(actors, option, before.votes.rows[i].votes);
    }
    check_builds(t, &before);
    /* the spans of the rows end with the engine, the numbers stay */
    handle_close(&handle);
    EXPECT(tally_close(t->tally) == 0, "close");
    t->tally = handle_engine(dir, 1);
    handle_open(&handle, t->tally);
    take_picture(&handle, &after);
    compare_pictures(&before, &after);
    handle_close(&handle);
    engine_rows_fini(&before);
    engine_rows_fini(&after);
    EXPECT(tally_close(t->tally) == 0, "close");
}

/* ---- the run ---- */

static void prepare(struct torture *t, const char *dir)
{
    struct handle handle;
    static const char *const labels[HOT_OPTIONS] = {"red", "green", "blue"};
    t->tally = handle_engine(dir, ACTORS + 1);
    t->builds = calloc(BUILDS_MAX, sizeof(struct trace));
    EXPECT(t->builds != NULL, "out of memory");
    handle_open(&handle, t->tally);
    handle_poll(&handle, "hot");
    for (unsigned i = 0; i < HOT_OPTIONS; i++) {
        t->option[i] = handle_option(&handle, "hot", labels[i]);
    }
    handle_close(&handle);
}

static void run(struct torture *t, struct actor *actors, uint64_t seconds)
{
    cast(t, actors);
    pthread_barrier_init(&t->start, NULL, ACTORS + 1);
    pthread_mutex_init(&t->noting, NULL);
    for (unsigned i = 0; i < ACTORS; i++) {
        EXPECT(pthread_create(&actors[i].thread, NULL, actor_main, &actors[i]) == 0, "thread");
    }
    pthread_barrier_wait(&t->start);
    /* the votes of the visitors cause commits, so this thread sees the end in time */
    struct handle handle;
    uint64_t end_ns = clock_mono_ns() + seconds * 1000000000;
    handle_open(&handle, t->tally);
    while (clock_mono_ns() < end_ns) {
        handle_wait(&handle);
    }
    /* T1: relaxed: the end may be seen late */
    atomic_store_explicit(&t->stop, true, memory_order_relaxed);
    bool open = true;
    for (unsigned i = 0; i < ACTORS; i++) {
        /* commits go on until all threads have seen the end, also those that wait for one */
        while (open && pthread_tryjoin_np(actors[i].thread, NULL) != 0) {
            handle_poll(&handle, "end");
        }
    }
    handle_close(&handle);
}

int main(int argc, char **argv)
{
    struct torture t = {.seed = 1};
    uint64_t seconds = 5;
    char dir[256];
    for (int i = 1; i + 1 < argc; i += 2) {
        bool is_seed = strcmp(argv[i], "--seed") == 0;
        EXPECT(is_seed || strcmp(argv[i], "--seconds") == 0, "usage: [--seconds N] [--seed S]");
        *(is_seed ? &t.seed : &seconds) = strtoull(argv[i + 1], NULL, 10);
    }
    printf("torture --seconds %lu --seed %lu\n", (unsigned long)seconds, (unsigned long)t.seed);
    fflush(stdout);
    static struct actor actors[ACTORS];
    files_temp_dir(dir, sizeof(dir));
    prepare(&t, dir);
    run(&t, actors, seconds);
    size_t told = 0;
    for (unsigned i = 0; i < ACTORS; i++) {
        told += actors[i].told.count;
    }
    check_all(&t, actors, dir);
    for (unsigned i = 0; i < ACTORS; i++) {
        free(actors[i].told.at);
    }
    printf("votes %zu, builds %lu, claims %lu, done %lu (in order %lu), refused as stale %lu, "
           "goodbyes %lu, reads %lu, noted late %lu\n",
           told, (unsigned long)torture_get(&t.submitted), (unsigned long)torture_get(&t.claims),
           (unsigned long)torture_get(&t.done), (unsigned long)torture_get(&t.fifo),
           (unsigned long)torture_get(&t.stale), (unsigned long)torture_get(&t.byes),
           (unsigned long)torture_get(&t.reads), (unsigned long)torture_get(&t.late));
    free(t.builds);
    files_remove_tree(dir);
    return 0;
}
