/* A full disk: new changes are refused, reads and ends of claims go on, and new space heals it. */
#include "engine/edge/slice.h"
#include "tests/engine/handle.h"
#include "tests/lib/seed.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAYLOAD_BYTES = 512 << 10, SUBMITS_MAX = 1000 };

/* The real file system, but no file can be created while the disk is full. */
struct full_io {
    struct wal_io io;
    struct wal_io_ops ops;
    struct wal_io *real;
    _Atomic bool is_full;
    _Atomic unsigned refused;
};

static struct full_io *full_of(struct wal_io *io)
{
    return (struct full_io *)io;
}

static int full_open(struct wal_io *io, const char *name, enum wal_open_mode mode)
{
    struct full_io *full = full_of(io);
    /* T1: acquire; pairs with T2 */
    if (mode == WAL_OPEN_CREATE && atomic_load_explicit(&full->is_full, memory_order_acquire)) {
        /* T3: relaxed: a count publishes nothing */
        atomic_fetch_add_explicit(&full->refused, 1, memory_order_relaxed);
        return -ENOSPC;
    }
    return full->real->ops->open(full->real, name, mode);
}

static void set_full(struct full_io *full, bool is_full)
{
    /* T2: release; pairs with T1 */
    atomic_store_explicit(&full->is_full, is_full, memory_order_release);
}

#define REAL(io) (full_of(io)->real)

static int real_close(struct wal_io *io, int fd)
{
    return REAL(io)->ops->close(REAL(io), fd);
}

static int64_t real_pwrite(struct wal_io *io, int fd, const void *from, size_t len, uint64_t offset)
{
    return REAL(io)->ops->pwrite(REAL(io), fd, from, len, offset);
}

static int64_t real_pread(struct wal_io *io, int fd, void *into, size_t len, uint64_t offset)
{
    return REAL(io)->ops->pread(REAL(io), fd, into, len, offset);
}

static int64_t real_size(struct wal_io *io, int fd)
{
    return REAL(io)->ops->size(REAL(io), fd);
}

static int real_datasync(struct wal_io *io, int fd)
{
    return REAL(io)->ops->datasync(REAL(io), fd);
}

static int real_sync(struct wal_io *io, int fd)
{
    return REAL(io)->ops->sync(REAL(io), fd);
}

static int real_drop_cache(struct wal_io *io, int fd)
{
    return REAL(io)->ops->drop_cache(REAL(io), fd);
}

static int real_truncate(struct wal_io *io, int fd, uint64_t len)
{
    return REAL(io)->ops->truncate(REAL(io), fd, len);
}

static int real_rename(struct wal_io *io, const char *from, const char *to)
{
    return REAL(io)->ops->rename(REAL(io), from, to);
}

static int real_unlink(struct wal_io *io, const char *name)
{
    return REAL(io)->ops->unlink(REAL(io), name);
}

static int real_syncdir(struct wal_io *io)
{
    return REAL(io)->ops->syncdir(REAL(io));
}

static int real_list(struct wal_io *io, int (*each)(void *arg, const char *name), void *arg)
{
    return REAL(io)->ops->list(REAL(io), each, arg);
}

static int real_lock(struct wal_io *io, const char *name)
{
    return REAL(io)->ops->lock(REAL(io), name);
}

static void real_random(struct wal_io *io, void *into, size_t len)
{
    REAL(io)->ops->random(REAL(io), into, len);
}

static int real_space(struct wal_io *io, struct wal_space *space)
{
    return REAL(io)->ops->space(REAL(io), space);
}

static int real_named(struct wal_io *io, int fd, const char *name)
{
    return REAL(io)->ops->named(REAL(io), fd, name);
}

static const struct wal_io_ops full_ops = {
    .open = full_open,
    .close = real_close,
    .pwrite = real_pwrite,
    .pread = real_pread,
    .size = real_size,
    .datasync = real_datasync,
    .sync = real_sync,
    .drop_cache = real_drop_cache,
    .truncate = real_truncate,
    .rename = real_rename,
    .unlink = real_unlink,
    .syncdir = real_syncdir,
    .list = real_list,
    .space = real_space,
    .named = real_named,
    .lock = real_lock,
    .random = real_random,
};

static struct tally *open_on(struct full_io *full, const char *dir)
{
    struct tally_report report;
    struct tally *tally = NULL;
    *full = (struct full_io){.io.ops = &full_ops};
    cr_assert_eq(wal_file_io_new(&full->real, dir, 0), 0);
    struct tally_options options = {.io = &full->io, .edges = 2, .segment_bytes = 1 << 20};
    int err = tally_open(&tally, &options, &report);
    cr_assert_eq(err, 0, "%s", report.text);
    return tally;
}

static int submit(struct handle *handle, const char *payload, uint64_t *id)
{
    struct edge_submit ask = {
        .queue = SPAN("q"), .payload = {payload, PAYLOAD_BYTES}, .lease_ms = 60000, .tries = 1};
    return handle_result(handle, edge_submit(handle->edge, &ask), id);
}

/* Submits until the engine answers READONLY. Returns how many builds were taken. */
static uint64_t fill(struct handle *handle, const char *payload)
{
    uint64_t count = 0;
    uint64_t id = 0;
    int err = submit(handle, payload, &id);
    for (; err == 0 && count < SUBMITS_MAX; err = submit(handle, payload, &id)) {
        count++;
    }
    cr_assert_eq(err, TALLY_READONLY, "after %lu builds: %s", (unsigned long)count,
                 tally_err_name(err));
    return count;
}

static uint64_t votes_of(struct handle *handle)
{
    struct read_tally r;
    read_tally_init(&r, SPAN("p"), SIZE_MAX);
    cr_assert_eq(handle_read(handle, &r.read), 0);
    uint64_t votes = r.total;
    read_tally_fini(&r);
    return votes;
}

static uint64_t builds_of(struct handle *handle)
{
    struct engine_info info;
    edge_info(handle->edge, &info);
    return info.builds;
}

static void vote(struct handle *handle, uint64_t option, int wanted)
{
    struct edge_vote told;
    int err = edge_vote(handle->edge, option, 1, &told);
    edge_flush(handle->edge);
    handle_settle(handle);
    cr_assert_eq(err, wanted, "vote: %s", tally_err_name(err));
}

static int submit_with_key(struct handle *handle, const char *key, const char *payload,
                           uint64_t *id)
{
    struct edge_submit ask = {.queue = SPAN("keyed"),
                              .payload = span_of(payload),
                              .key = span_of(key),
                              .lease_ms = 60000,
                              .tries = 1};
    return handle_result(handle, edge_submit(handle->edge, &ask), id);
}

/* What was done before the disk was full is told once more; nothing new is done. */
static void check_keys(struct handle *handle, uint64_t first)
{
    uint64_t id = 0;
    cr_assert_eq(submit_with_key(handle, "known", "make", &id), 0);
    cr_assert_eq(id, first);
    cr_assert_eq(submit_with_key(handle, "known", "clean", &id), TALLY_EXISTS);
    cr_assert_eq(submit_with_key(handle, "new", "make", &id), TALLY_READONLY);
    cr_assert_eq(submit_with_key(handle, "", "make", &id), TALLY_READONLY);
}

/* Checks what a full disk still allows: reads, and ends of claims. */
static void check_full(struct handle *handle, uint64_t option, const struct edge_claimed *held)
{
    struct edge_claimed got;
    struct edge_claim ask = {.worker = SPAN("w"), .queues = {SPAN("q")}, .queue_count = 1};
    vote(handle, option, TALLY_READONLY);
    cr_assert_eq(edge_reset(handle->edge, SPAN("p"), SPAN("")), TALLY_READONLY);
    cr_assert_eq(edge_polldel(handle->edge, SPAN("p")), TALLY_READONLY);
    cr_assert_eq(votes_of(handle), 1);
    cr_assert_eq(edge_claim(handle->edge, &ask, &got), TALLY_READONLY);
    cr_assert_eq(edge_done(handle->edge, held->id, held->token, SPAN("ok")), 0);
    handle_settle(handle);
}

/* Adds so many options that the reader makes the TALLY and asks the committer for a feed. */
static void more_options(struct handle *handle)
{
    for (int i = 0; i <= READ_SLICE; i++) {
        char label[16];
        snprintf(label, sizeof(label), "more %d", i);
        cr_assert_eq(edge_option(handle->edge, SPAN("p"), span_of(label), SPAN("")), 0);
    }
    handle_settle(handle);
}

static void next_pass(struct handle *handle)
{
    edge_pass_end(handle->edge);
    sched_yield();
    edge_pass_begin(handle->edge);
}

Test(readonly, a_full_disk_refuses_and_space_heals)
{
    struct full_io full;
    struct handle handle;
    char dir[256];
    char *payload = malloc(PAYLOAD_BYTES);
    cr_assert(payload != NULL);
    seed_fill(3, (unsigned char *)payload, PAYLOAD_BYTES);
    files_temp_dir(dir, sizeof(dir));
    struct tally *tally = open_on(&full, dir);
    handle_open(&handle, tally);
    handle_poll(&handle, "p");
    uint64_t option = handle_option(&handle, "p", "A");
    more_options(&handle);
    uint64_t first = 0;
    struct edge_claimed held;
    struct edge_claim ask = {.worker = SPAN("w"), .queues = {SPAN("q")}, .queue_count = 1};
    handle_worker(&handle, "w", 2);
    vote(&handle, option, 0);
    cr_assert_eq(submit(&handle, payload, &first), 0);
    cr_assert_eq(edge_claim(handle.edge, &ask, &held), 0);
    handle_settle(&handle);

    uint64_t keyed = 0;
    cr_assert_eq(submit_with_key(&handle, "known", "make", &keyed), 0);

    set_full(&full, true);
    uint64_t taken = 2 + fill(&handle, payload);
    check_full(&handle, option, &held);
    check_keys(&handle, keyed);
    cr_assert_eq(builds_of(&handle), taken);

    set_full(&full, false);
    while (edge_mode(handle.edge) != 0) {
        next_pass(&handle);
    }
    vote(&handle, option, 0);
    taken += submit(&handle, payload, &first) == 0;

    handle_close(&handle);
    cr_assert_eq(tally_close(tally), 0);
    full.real->ops->destroy(full.real);
    tally = open_on(&full, dir);
    handle_open(&handle, tally);
    cr_assert_eq(builds_of(&handle), taken);
    cr_assert_eq(votes_of(&handle), 2);
    handle_close(&handle);
    cr_assert_eq(tally_close(tally), 0);
    full.real->ops->destroy(full.real);
    files_remove_tree(dir);
    free(payload);
}

/* A thread that is in a pass, for which the gate waits, from one meeting to the next. */
struct long_pass {
    struct tally *tally;
    pthread_barrier_t meeting;
    pthread_t thread;
};

static void *stay_in_pass(void *arg)
{
    struct long_pass *pass = arg;
    struct handle handle;
    handle_open(&handle, pass->tally);
    pthread_barrier_wait(&pass->meeting);
    pthread_barrier_wait(&pass->meeting);
    handle_close(&handle);
    return NULL;
}

/* A RESET that is on its way when the disk becomes full is made all the same, and nothing is lost.
 */
Test(readonly, a_reset_on_its_way_is_made)
{
    struct full_io full;
    struct handle handle;
    struct edge_result result;
    struct long_pass pass;
    char dir[256];
    char *payload = malloc(PAYLOAD_BYTES);
    cr_assert(payload != NULL);
    seed_fill(3, (unsigned char *)payload, PAYLOAD_BYTES);
    files_temp_dir(dir, sizeof(dir));
    pass.tally = open_on(&full, dir);
    handle_open(&handle, pass.tally);
    handle_poll(&handle, "p");
    uint64_t option = handle_option(&handle, "p", "A");
    vote(&handle, option, 0);
    pthread_barrier_init(&pass.meeting, NULL, 2);
    cr_assert_eq(pthread_create(&pass.thread, NULL, stay_in_pass, &pass), 0);
    pthread_barrier_wait(&pass.meeting);
    cr_assert_eq(edge_reset(handle.edge, SPAN("p"), SPAN("")), 0);
    uint64_t pos = edge_tail(handle.edge);

    set_full(&full, true);
    struct edge_submit ask = {
        .queue = SPAN("q"), .payload = {payload, PAYLOAD_BYTES}, .lease_ms = 60000, .tries = 1};
    int err;
    while ((err = edge_submit(handle.edge, &ask)) == 0) { /* nothing is freed before the RESET's */
        edge_publish(handle.edge);
        while (edge_applied(handle.edge) < edge_tail(handle.edge)) {
            handle_wait(&handle);
        }
    }
    cr_assert_eq(err, TALLY_READONLY);
    cr_assert_eq(edge_apply_result(handle.edge, pos, &result), TALLY_PARK);
    cr_assert_eq(votes_of(&handle), 1);
    pthread_barrier_wait(&pass.meeting);
    while ((err = edge_apply_result(handle.edge, pos, &result)) == TALLY_PARK) {
        handle_wait(&handle);
    }
    cr_assert_eq(err, 0);
    cr_assert_eq(result.value, 1);
    cr_assert_eq(votes_of(&handle), 0);
    edge_free(handle.edge, edge_applied(handle.edge));
    vote(&handle, option, TALLY_READONLY);
    pthread_join(pass.thread, NULL);
    handle_close(&handle);
    cr_assert_eq(tally_close(pass.tally), 0);
    full.real->ops->destroy(full.real);
    pass.tally = open_on(&full, dir);
    handle_open(&handle, pass.tally);
    cr_assert_eq(votes_of(&handle), 0);
    vote(&handle, option, 0);
    handle_close(&handle);
    cr_assert_eq(tally_close(pass.tally), 0);
    full.real->ops->destroy(full.real);
    files_remove_tree(dir);
    free(payload);
}

/* So is a POLLDEL; the memory of the poll is given back when there is space again. */
Test(readonly, a_polldel_on_its_way_is_made)
{
    struct full_io full;
    struct handle handle;
    struct edge_result result;
    struct long_pass pass;
    char dir[256];
    char *payload = malloc(PAYLOAD_BYTES);
    cr_assert(payload != NULL);
    seed_fill(3, (unsigned char *)payload, PAYLOAD_BYTES);
    files_temp_dir(dir, sizeof(dir));
    pass.tally = open_on(&full, dir);
    handle_open(&handle, pass.tally);
    handle_poll(&handle, "p");
    uint64_t option = handle_option(&handle, "p", "A");
    pthread_barrier_init(&pass.meeting, NULL, 2);
    cr_assert_eq(pthread_create(&pass.thread, NULL, stay_in_pass, &pass), 0);
    pthread_barrier_wait(&pass.meeting);
    cr_assert_eq(edge_polldel(handle.edge, SPAN("p")), 0);
    uint64_t pos = edge_tail(handle.edge);
    set_full(&full, true);
    struct edge_submit ask = {
        .queue = SPAN("q"), .payload = {payload, PAYLOAD_BYTES}, .lease_ms = 60000, .tries = 1};
    while (edge_submit(handle.edge, &ask) == 0) {
        edge_publish(handle.edge);
        while (edge_applied(handle.edge) < edge_tail(handle.edge)) {
            handle_wait(&handle);
        }
    }
    pthread_barrier_wait(&pass.meeting);
    int err;
    while ((err = edge_apply_result(handle.edge, pos, &result)) == TALLY_PARK) {
        handle_wait(&handle);
    }
    cr_assert_eq(err, 0);
    edge_free(handle.edge, edge_applied(handle.edge));
    pthread_join(pass.thread, NULL);
    vote(&handle, option, TALLY_READONLY);
    const struct table *polls = &handle.edge->state->poll_ids;
    cr_expect_not_null(table_get(polls, 1), "nothing that can wait takes space");
    set_full(&full, false);
    while (table_get(polls, 1) != NULL) {
        next_pass(&handle);
    }
    vote(&handle, option, TALLY_NOTFOUND);
    handle_close(&handle);
    cr_assert_eq(tally_close(pass.tally), 0);
    full.real->ops->destroy(full.real);
    files_remove_tree(dir);
    free(payload);
}

/* Opens an engine in which a lease ends in each tick, removes its directory, and closes it. Returns
 * what tally_close does; but where the committer was about to write the end of a lease when it saw
 * that the log was removed, tally_close ends the process with 74. */
static int close_without_log(void)
{
    enum { BUILDS = 40, TICK_MS = 100 };
    char dir[256];
    struct handle handle;
    struct tally *tally = NULL;
    struct tally_report report;
    struct edge_submit one = {.queue = SPAN("q"), .pri = 5, .lease_ms = 1, .tries = 3};
    struct edge_claim ask = {.worker = SPAN("w"), .queues = {SPAN("q")}, .queue_count = 1};
    files_temp_dir(dir, sizeof(dir));
    const struct tally_options options = {.dir = dir, .create = true, .edges = 1};
    cr_assert_eq(tally_open(&tally, &options, &report), 0, "%s", report.text);
    handle_open(&handle, tally);
    handle_worker(&handle, "w", BUILDS);
    for (int i = 0; i < BUILDS; i++) {
        cr_assert_eq(handle_result(&handle, edge_submit(handle.edge, &one), NULL), 0);
    }
    for (uint32_t i = 1; i <= BUILDS; i++) {
        struct edge_claimed held;
        ask.lease_ms = i * TICK_MS;
        cr_assert_eq(edge_claim(handle.edge, &ask, &held), 0);
    }
    handle_settle(&handle);
    uint64_t commits = edge_commits(handle.edge);
    while (edge_commits(handle.edge) < commits + 2) {
        next_pass(&handle);
    }
    files_remove_tree(dir);
    while (edge_mode(handle.edge) != TALLY_READONLY) {
        next_pass(&handle);
    }
    handle_close(&handle);
    return tally_close(tally);
}

/* It goes on until the moment was met: a committer that waits for the log then waits for ever. */
Test(readonly, a_close_does_not_wait_for_a_removed_log, .exit_code = 74, .timeout = 30)
{
    while (close_without_log() == TALLY_IO) {
    }
}
