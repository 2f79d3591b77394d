/* A token whose claim was given back asks again and again whether it is done, while another worker
 * claims the build and does it. With MUTANT_ENDING_APART the edge reads the build's token and how
 * its last claim ended at two moments, and this must see it. */
#include "tests/engine/handle.h"

#include "wal/base/clock.h"

#include <pthread.h>
#include <stdio.h>

enum { ROUNDS = 400, SECONDS_MAX = 5 };

static struct tally *tally;
static _Atomic uint64_t stale; /* token:32 | build:32; 0: not yet */
static _Atomic uint64_t asked;
static _Atomic bool stop;
static _Atomic bool stopped;

static void *ask_main(void *arg)
{
    struct handle handle;
    (void)arg;
    handle_open(&handle, tally);
    /* T1: relaxed: the end may be seen late */
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        /* T2: acquire; pairs with T3 */
        uint64_t now = atomic_load_explicit(&stale, memory_order_acquire);
        int err = now == 0
                      ? TALLY_STALE
                      : edge_done(handle.edge, (uint32_t)now, (uint32_t)(now >> 32), SPAN("late"));
        EXPECT(err == TALLY_STALE || err == TALLY_PARK, "a stale DONE was told %d", err);
        if (err == TALLY_PARK) {
            handle_wait(&handle);
        } else {
            edge_pass_end(handle.edge);
            edge_pass_begin(handle.edge);
            /* T4: relaxed: a count publishes nothing */
            atomic_fetch_add_explicit(&asked, now != 0, memory_order_relaxed);
        }
    }
    handle_close(&handle);
    /* T5: release; pairs with T6 */
    atomic_store_explicit(&stopped, true, memory_order_release);
    return NULL;
}

static void claim(struct handle *handle, const char *worker, struct edge_claimed *got)
{
    struct edge_claim ask = {
        .worker = span_of(worker), .queues = {SPAN("q")}, .queue_count = 1, .lease_ms = 600000};
    int err;
    HANDLE_ASK(err, handle, edge_claim(handle->edge, &ask, got));
    EXPECT(err == 0 && !got->again, "claim: %s", tally_err_name(err));
    handle_settle(handle);
}

/* One build: the first worker holds it and gives it back, the second completes it. */
static void round_one(struct handle *handle)
{
    struct edge_submit ask = {
        .queue = SPAN("q"), .payload = SPAN("make"), .pri = 5, .lease_ms = 600000, .tries = 3};
    struct edge_claimed got;
    uint64_t id = 0;
    EXPECT(handle_result(handle, edge_submit(handle->edge, &ask), &id) == 0, "submit");
    claim(handle, "first", &got);
    EXPECT(edge_release(handle->edge, id, got.token, 0) == 0, "release");
    handle_settle(handle);
    /* T3: release; pairs with T2 */
    atomic_store_explicit(&stale, (uint64_t)got.token << 32 | id, memory_order_release);
    handle_poll(handle, "p"); /* leaves time to ask while the build is pending */
    claim(handle, "second", &got);
    EXPECT(got.id == id && edge_done(handle->edge, id, got.token, SPAN("right")) == 0, "done");
    handle_settle(handle);
}

int main(void)
{
    char dir[256];
    struct handle handle;
    pthread_t thread;
    files_temp_dir(dir, sizeof(dir));
    tally = handle_engine(dir, 2);
    handle_open(&handle, tally);
    handle_worker(&handle, "first", 1);
    handle_worker(&handle, "second", 1);
    EXPECT(pthread_create(&thread, NULL, ask_main, NULL) == 0, "a thread");
    uint64_t until_ns = clock_mono_ns() + (uint64_t)SECONDS_MAX * 1000000000;
    int rounds = 0;
    while (IS_CONTROL || (rounds < ROUNDS && clock_mono_ns() < until_ns)) {
        round_one(&handle);
        rounds++;
    }
    /* T1: relaxed: the end may be seen late */
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    /* T6: acquire; pairs with T5 */
    while (!atomic_load_explicit(&stopped, memory_order_acquire)) {
        handle_poll(&handle, "p"); /* makes a commit for parked requests */
    }
    pthread_join(thread, NULL);
    handle_close(&handle);
    EXPECT(tally_close(tally) == 0, "close");
    files_remove_tree(dir);
    /* T4: relaxed: a count publishes nothing */
    uint64_t count = atomic_load_explicit(&asked, memory_order_relaxed);
    EXPECT(count > 0, "nobody asked");
    printf("%d builds, %lu times asked\n", rounds, (unsigned long)count);
    return 0;
}
