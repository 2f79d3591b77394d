/* One parcel after the other in one place, read by many threads, some of which keep it long. With
 * TORTURE_FREE_AT_ONCE the writer releases its hold without a grace period, and a sanitizer must
 * see that. */
#include "tests/engine/handle.h"
#include "tests/lib/seed.h"

#include <sched.h>
#include <stdio.h>

enum { PARCELS = 10000, READERS = 3, KEPT = 8, BYTES_MAX = 200 };

static struct state state;
static _Atomic(struct parcel *) place;
static _Atomic bool closed;
static pthread_barrier_t start;

/* All bytes of parcel n must have the value of n. */
static void check(const struct parcel *parcel)
{
    struct span bytes = parcel_span(parcel);
    EXPECT(bytes.len > 0 && bytes.len <= BYTES_MAX, "a parcel of %zu bytes", bytes.len);
    for (size_t i = 0; i < bytes.len; i++) {
        EXPECT((unsigned char)bytes.at[i] == bytes.len, "byte %zu of %zu is another's", i,
               bytes.len);
    }
}

static void *read_main(void *arg)
{
    struct parcel *kept[KEPT] = {NULL};
    struct seed seed = {(uint64_t)(uintptr_t)arg};
    rcu_thread_register();
    pthread_barrier_wait(&start);
    /* T1: acquire; pairs with T2 */
    while (!atomic_load_explicit(&closed, memory_order_acquire)) {
        struct parcel **mine = &kept[seed_below(&seed, KEPT)];
        parcel_release(*mine);
        *mine = parcel_hold(FIELD_GET(place));
        if (seed_below(&seed, 4) == 0) {
            rcu_quiescent();
        }
        check(*mine);
        check(FIELD_GET(place));
    }
    for (size_t i = 0; i < KEPT; i++) {
        parcel_release(kept[i]);
    }
    rcu_thread_unregister();
    return NULL;
}

static struct parcel *make(size_t len)
{
    char bytes[BYTES_MAX];
    memset(bytes, (int)len, sizeof(bytes));
    struct parcel *parcel = parcel_new(&state.ledger, LEDGER_PAYLOADS, (struct span){bytes, len});
    EXPECT(parcel != NULL, "out of memory");
    return parcel;
}

int main(void)
{
    pthread_t threads[READERS];
    struct seed seed = {1};
    EXPECT(state_init(&state) == 0, "out of memory");
    rcu_thread_register();
#ifndef TORTURE_FREE_AT_ONCE
    state.retirer = rcu_retirer_new();
    EXPECT(state.retirer != NULL, "out of memory");
#endif
    FIELD_PUT(place, make(1));
    pthread_barrier_init(&start, NULL, READERS + 1);
    for (uintptr_t i = 0; i < READERS; i++) {
        EXPECT(pthread_create(&threads[i], NULL, read_main, (void *)(i + 1)) == 0, "thread");
    }
    rcu_offline();
    pthread_barrier_wait(&start);
    rcu_online();
    for (int i = 0; i < PARCELS; i++) {
        struct parcel *old = FIELD_OWN(place);
        FIELD_PUT(place, make(1 + seed_below(&seed, BYTES_MAX)));
        state_retire(&state, old, parcel_release);
        if (i % 16 == 0) {
            rcu_quiescent();
            sched_yield();
        }
    }
    /* T2: release; pairs with T1 */
    atomic_store_explicit(&closed, true, memory_order_release);
    rcu_offline();
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
    rcu_online();
    parcel_release(FIELD_OWN(place));
    if (state.retirer != NULL) {
        rcu_retirer_destroy(state.retirer);
    }
    rcu_thread_unregister();
    uint64_t left = ledger_sum(&state.ledger);
    EXPECT(left == 0, "the ledger still has %lu bytes", (unsigned long)left);
    state_fini(&state);
    printf("%d parcels, each freed once\n", PARCELS);
    return 0;
}
