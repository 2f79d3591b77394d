/* A worker whose reply was lost asks for its claim again, while the end of its old connection takes
 * the claim back: only one of the two may happen. With MUTANT_TOLD_APART the edge first checks
 * whether it was told again and then takes it back, in two steps, and this must see it. */
#include "tests/engine/handle.h"

#include "wal/base/clock.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

enum { ROUNDS = 2000, SECONDS_MAX = 5 };
enum { BACK_NONE, BACK_ASKED, BACK_DONE, BACK_REFUSED };

static struct tally *tally;
static uint64_t build_id;
static uint32_t build_token;
static _Atomic uint32_t back;
static _Atomic bool stop;
static _Atomic bool stopped;

static void take_back(struct handle *handle)
{
    int err;
    HANDLE_ASK(err, handle, edge_take_back(handle->edge, build_id, build_token));
    EXPECT(err == 0 || err == TALLY_STALE, "take back: %s", tally_err_name(err));
    handle_settle(handle);
    /* T1: release; pairs with T2 */
    atomic_store_explicit(&back, err == 0 ? BACK_DONE : BACK_REFUSED, memory_order_release);
}

static void *back_main(void *arg)
{
    struct handle handle;
    (void)arg;
    handle_open(&handle, tally);
    /* T3: relaxed: the end may be seen late */
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        /* T2: acquire; pairs with T1 */
        if (atomic_load_explicit(&back, memory_order_acquire) == BACK_ASKED) {
            take_back(&handle);
        }
        sched_yield(); /* on one core no other thread would run */
        edge_pass_end(handle.edge);
        edge_pass_begin(handle.edge);
    }
    handle_close(&handle);
    /* T4: release; pairs with T5 */
    atomic_store_explicit(&stopped, true, memory_order_release);
    return NULL;
}

static void claim(struct handle *handle, struct edge_claimed *got)
{
    static const struct edge_claim ask = {
        .worker = SPAN("w"), .queues = {SPAN("q")}, .queue_count = 1, .lease_ms = 600000};
    int err;
    HANDLE_ASK(err, handle, edge_claim(handle->edge, &ask, got));
    EXPECT(err == 0, "claim: %s", tally_err_name(err));
}

/* Returns whether it was told again. */
static bool round_one(struct handle *handle, int round)
{
    struct edge_submit submit = {
        .queue = SPAN("q"), .payload = SPAN("make"), .pri = 5, .lease_ms = 600000, .tries = 3};
    struct edge_claimed got;
    EXPECT(handle_result(handle, edge_submit(handle->edge, &submit), &build_id) == 0, "submit");
    claim(handle, &got);
    handle_settle(handle);
    EXPECT(!got.again && got.id == build_id, "it was claimed before");
    build_token = got.token;
    /* T1: release; pairs with T2 */
    atomic_store_explicit(&back, BACK_ASKED, memory_order_release);
    if (round % 2 != 0) {
        sched_yield(); /* on one core the other thread would always be second */
    }
    claim(handle, &got);
    bool is_told = got.token == build_token;
    EXPECT(is_told == got.again, "a token from nowhere");
    handle_settle(handle);
    uint32_t how = BACK_ASKED;
    while (how == BACK_ASKED) {
        handle_poll(handle, "p"); /* makes a commit for parked requests */
        /* T2: acquire; pairs with T1 */
        how = atomic_load_explicit(&back, memory_order_acquire);
    }
    EXPECT(!is_told || how != BACK_DONE, "taken back from one who was told again");
    EXPECT(is_told || how == BACK_DONE, "neither told nor taken back");
    EXPECT(edge_done(handle->edge, build_id, got.token, SPAN("right")) == 0, "done");
    handle_settle(handle);
    return is_told;
}

int main(void)
{
    char dir[256];
    struct handle handle;
    pthread_t thread;
    files_temp_dir(dir, sizeof(dir));
    tally = handle_engine(dir, 2);
    handle_open(&handle, tally);
    handle_worker(&handle, "w", 1);
    EXPECT(pthread_create(&thread, NULL, back_main, NULL) == 0, "a thread");
    uint64_t until_ns = clock_mono_ns() + (uint64_t)SECONDS_MAX * 1000000000;
    int rounds = 0;
    int told = 0;
    while (IS_CONTROL || (rounds < ROUNDS && clock_mono_ns() < until_ns)) {
        told += round_one(&handle, rounds);
        rounds++;
    }
    /* T3: relaxed: the end may be seen late */
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    /* T5: acquire; pairs with T4 */
    while (!atomic_load_explicit(&stopped, memory_order_acquire)) {
        handle_poll(&handle, "p");
    }
    pthread_join(thread, NULL);
    handle_close(&handle);
    EXPECT(tally_close(tally) == 0, "close");
    files_remove_tree(dir);
    printf("%d claims, %d told again, %d taken back\n", rounds, told, rounds - told);
    return 0;
}
