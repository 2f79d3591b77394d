/* At every moment a build is pending, or held by the thread that asks: the next one, of another
 * need set, is submitted before the last one is claimed. So a claim must never return EDGE_NIL.
 * With MUTANT_MARK_LATE the edge sums up, as of now, the pending counts of the sets that there were
 * before its walk, and this must see it. */
#include "tests/engine/handle.h"

#include "wal/base/clock.h"

#include <pthread.h>
#include <stdio.h>

enum { SECONDS = 3, TAGS = 10 };

static struct tally *tally;
static _Atomic bool stop;
static _Atomic bool stopped;

static int claim(struct handle *handle, const char *worker, struct edge_claimed *got)
{
    struct edge_claim ask = {.worker = span_of(worker),
                             .queues = {SPAN("q")},
                             .queue_count = 1,
                             .lease_ms = 600000,
                             .fresh_only = true};
    int err;
    HANDLE_ASK(err, handle, edge_claim(handle->edge, &ask, got));
    return err;
}

static void *ask_main(void *arg)
{
    struct edge_claimed got;
    struct handle handle;
    uint64_t *count = arg;
    handle_open(&handle, tally);
    /* T1: relaxed: the end may be seen late */
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        int err = claim(&handle, "asks", &got);
        EXPECT(err != EDGE_NIL, "NIL, while a build is pending");
        EXPECT(err == 0, "claim: %s", tally_err_name(err));
        handle_settle(&handle);
        EXPECT(edge_release(handle.edge, got.id, got.token, 0) == 0, "release");
        handle_settle(&handle);
        (*count)++;
    }
    handle_close(&handle);
    /* T2: release; pairs with T3 */
    atomic_store_explicit(&stopped, true, memory_order_release);
    return NULL;
}

/* Submits a build with the tags of a number; each number has other tags. */
static void submit(struct handle *handle, uint32_t number)
{
    char need[2 * TAGS + 1];
    size_t len = 0;
    for (uint32_t i = 0; i < TAGS; i++) {
        if ((number >> i & 1) != 0) {
            need[len++] = (char)('a' + i);
            need[len++] = ',';
        }
    }
    struct edge_submit ask = {.queue = SPAN("q"),
                              .need = {need, len > 0 ? len - 1 : 0},
                              .payload = SPAN("make"),
                              .pri = 5,
                              .lease_ms = 600000,
                              .tries = 3};
    EXPECT(handle_result(handle, edge_submit(handle->edge, &ask), NULL) == 0, "submit");
}

static void has_all_tags(struct handle *handle, const char *worker)
{
    struct edge_worker ask = {
        .id = span_of(worker), .slots = 1, .tags = SPAN("a,b,c,d,e,f,g,h,i,j")};
    EXPECT(handle_result(handle, edge_worker(handle->edge, &ask), NULL) == 0, "worker");
}

int main(void)
{
    char dir[256];
    struct handle handle;
    pthread_t thread;
    uint64_t asked = 0;
    uint32_t builds = 0;
    struct edge_claimed got;
    files_temp_dir(dir, sizeof(dir));
    tally = handle_engine(dir, 2);
    handle_open(&handle, tally);
    has_all_tags(&handle, "asks");
    has_all_tags(&handle, "does");
    submit(&handle, builds++);
    EXPECT(pthread_create(&thread, NULL, ask_main, &asked) == 0, "a thread");
    uint64_t until_ns = clock_mono_ns() + (uint64_t)SECONDS * 1000000000;
    while (IS_CONTROL || clock_mono_ns() < until_ns) {
        submit(&handle, builds++ % (1U << TAGS));
        if (claim(&handle, "does", &got) == 0) {
            handle_settle(&handle);
            EXPECT(edge_done(handle.edge, got.id, got.token, SPAN("done")) == 0, "done");
            handle_settle(&handle);
        }
    }
    /* T1: relaxed: the end may be seen late */
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    /* T3: acquire; pairs with T2 */
    while (!atomic_load_explicit(&stopped, memory_order_acquire)) {
        handle_poll(&handle, "p"); /* makes a commit for parked requests */
    }
    pthread_join(thread, NULL);
    handle_close(&handle);
    EXPECT(tally_close(tally) == 0, "close");
    files_remove_tree(dir);
    printf("%u builds, %lu times asked\n", builds, (unsigned long)asked);
    return 0;
}
