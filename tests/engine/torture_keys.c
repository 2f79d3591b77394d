/* Threads send requests with the same keys at once: each key is done once, and all get one reply.
 * With MUTANT_KEY_UNDER_WAY a ballot does not wait for another one with its key, and this must see
 * it. */
#include "tests/engine/handle.h"
#include "tests/lib/seed.h"

#include <pthread.h>
#include <stdio.h>

enum { THREADS = 4, KEYS = 6000, BURST = 16, NEAR = 24 };

/* What was told of a key by any thread. */
struct told_key {
    _Atomic uint64_t value; /* of the reply, plus 1; 0: none yet */
    _Atomic uint32_t originals;
};

static struct tally *tally;
static struct told_key keys[KEYS];
static _Atomic uint32_t front; /* keys below it have been used, and some near it */
static uint64_t free_option;
static uint64_t once_option;

struct key_user {
    unsigned number;
    struct seed seed;
    pthread_t thread;
};

static int ballot(struct handle *handle, uint64_t option, uint64_t n, struct span voter,
                  struct span key)
{
    const struct edge_ballot ask = {
        .options = {option}, .option_count = 1, .n = n, .voter = voter, .key = key};
    int err;
    HANDLE_ASK(err, handle, edge_ballot(handle->edge, &ask));
    return err;
}

/* One of four requests, by the key; the fourth is not the same for all threads. */
static void request(struct handle *handle, const struct key_user *user, uint32_t k)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "k%u", k);
    struct span key = {text, (size_t)len};
    const struct edge_submit submit = {
        .queue = SPAN("q"), .payload = SPAN("make"), .key = key, .lease_ms = 60000, .tries = 1};
    bool is_free = k % 4 == 0 || (k % 4 == 3 && user->number % 2 == 0);
    int err;
    if (k % 4 == 2) {
        HANDLE_ASK(err, handle, edge_submit(handle->edge, &submit));
    } else if (is_free) {
        err = ballot(handle, free_option, 1 + k % 3, SPAN(""), key);
    } else {
        err = ballot(handle, once_option, 1, key, key);
    }
    EXPECT(err == 0, "key %u: %s", k, tally_err_name(err));
}

static void note(uint32_t k, int err, const struct edge_result *result)
{
    bool is_other = k % 4 == 3 && err == TALLY_EXISTS && result->dup;
    EXPECT(err == 0 || is_other, "key %u: %s", k, tally_err_name(err));
    if (is_other) {
        return;
    }
    uint64_t none = 0;
    /* T1: relaxed: counts, compared when the threads have ended */
    if (!atomic_compare_exchange_strong_explicit(&keys[k].value, &none, result->value + 1,
                                                 memory_order_relaxed, memory_order_relaxed)) {
        EXPECT(none == result->value + 1, "key %u: %lu and %lu", k, (unsigned long)none - 1,
               (unsigned long)result->value);
    }
    /* T1: relaxed: as above */
    atomic_fetch_add_explicit(&keys[k].originals, result->dup ? 0 : 1, memory_order_relaxed);
}

/* Sends a burst and reads its results. */
static void burst(struct handle *handle, struct key_user *user)
{
    uint32_t used[BURST];
    uint64_t pos[BURST];
    /* T1: relaxed: as above */
    uint32_t from = atomic_fetch_add_explicit(&front, 2, memory_order_relaxed);
    for (int i = 0; i < BURST; i++) {
        used[i] = (from + (uint32_t)seed_below(&user->seed, NEAR)) % KEYS;
        request(handle, user, used[i]);
        pos[i] = edge_tail(handle->edge);
    }
    edge_publish(handle->edge);
    for (int i = 0; i < BURST; i++) {
        struct edge_result result;
        int err = TALLY_PARK;
        while (edge_applied(handle->edge) < pos[i] ||
               (err = edge_apply_result(handle->edge, pos[i], &result)) == TALLY_PARK) {
            handle_wait(handle);
        }
        note(used[i], err, &result);
        edge_free(handle->edge, pos[i]);
    }
}

static void *use_main(void *arg)
{
    struct key_user *user = arg;
    struct handle handle;
    handle_open(&handle, tally);
    /* T1: relaxed: as above */
    while (atomic_load_explicit(&front, memory_order_relaxed) < KEYS || IS_CONTROL) {
        burst(&handle, user);
    }
    handle_close(&handle);
    return NULL;
}

static uint64_t votes_of(struct handle *handle, const char *poll)
{
    struct read_tally read;
    read_tally_init(&read, span_of(poll), SIZE_MAX);
    EXPECT(handle_read(handle, &read.read) == 0, "TALLY");
    uint64_t votes = read.total;
    read_tally_fini(&read);
    return votes;
}

/* Each key was done once, and what all have done is there. */
static void check(struct handle *handle)
{
    struct engine_info info;
    uint64_t submitted = 0;
    uint64_t known = 0;
    for (uint32_t k = 0; k < KEYS; k++) {
        /* T1: relaxed: the threads have ended */
        uint32_t originals = atomic_load_explicit(&keys[k].originals, memory_order_relaxed);
        /* T1: relaxed: as above */
        bool is_told = atomic_load_explicit(&keys[k].value, memory_order_relaxed) != 0;
        EXPECT(originals == is_told, "key %u was done %u times", k, originals);
        submitted += k % 4 == 2 && is_told;
        known += is_told;
    }
    edge_info(handle->edge, &info);
    EXPECT(info.builds == submitted, "%lu builds, not %lu", (unsigned long)info.builds,
           (unsigned long)submitted);
    printf("%lu of %d keys by %d threads, %lu votes\n", (unsigned long)known, KEYS, THREADS,
           (unsigned long)(votes_of(handle, "free") + votes_of(handle, "once")));
}

int main(void)
{
    static struct key_user users[THREADS];
    char dir[256];
    struct handle handle;
    struct edge_poll once = {SPAN("once"), EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, POLL_ONCE};
    files_temp_dir(dir, sizeof(dir));
    tally = handle_engine(dir, THREADS + 1);
    handle_open(&handle, tally);
    handle_poll(&handle, "free");
    EXPECT(handle_result(&handle, edge_poll(handle.edge, &once), NULL) == 0, "poll once");
    free_option = handle_option(&handle, "free", "A");
    once_option = handle_option(&handle, "once", "A");
    handle_close(&handle);
    for (unsigned i = 0; i < THREADS; i++) {
        users[i] = (struct key_user){.number = i, .seed = {i + 1}};
        EXPECT(pthread_create(&users[i].thread, NULL, use_main, &users[i]) == 0, "thread");
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(users[i].thread, NULL);
    }
    handle_open(&handle, tally);
    check(&handle);
    handle_close(&handle);
    EXPECT(tally_close(tally) == 0, "close");
    files_remove_tree(dir);
    return 0;
}
