/* Labels are looked for while another thread adds options: each that is committed is found, also
 * while the list that it is in is being split. */
#include "tests/engine/handle.h"
#include "tests/lib/seed.h"

#include <pthread.h>
#include <stdio.h>

enum { READERS = 2, OPTIONS = 20000, AT_ONCE = 250, LOOKS = 200, DIGITS = 6, LABEL_BYTES = 8 };

static pthread_barrier_t start;
static _Atomic bool over;
static _Atomic uint64_t added; /* options 0 to below this are committed */

struct finder {
    struct tally *tally;
    uint64_t seed;
    uint64_t looks;
    pthread_t thread;
};

/* Lists by the last digit: when the first of them is split, not all options are looked at. */
static struct span label_of(char to[LABEL_BYTES], uint64_t number)
{
    to[0] = (char)('a' + number % 26);
    to[1] = ' ';
    for (int i = 0; i < DIGITS; i++) {
        to[2 + i] = (char)('0' + number % 10);
        number /= 10;
    }
    return (struct span){to, LABEL_BYTES};
}

/* Looks for an option by its second word: no other index has that. */
static void find_one(struct edge *edge, uint64_t number)
{
    char label[LABEL_BYTES];
    struct found_label rows[FOUND_MAX];
    struct span wanted = label_of(label, number);
    struct span text = {wanted.at + 2, DIGITS};
    int count = edge_find(edge, SPAN("p"), text, rows);
    EXPECT(count >= 1 && span_equal(rows[0].label, wanted), "'%.*s' is not found: '%.*s'",
           (int)text.len, text.at, count > 0 ? (int)rows[0].label.len : 0,
           count > 0 ? rows[0].label.at : "");
}

static void *find_main(void *arg)
{
    struct finder *finder = arg;
    struct handle handle;
    struct seed seed = {finder->seed};
    handle_open(&handle, finder->tally);
    pthread_barrier_wait(&start);
    /* T1: relaxed: the end may be seen late */
    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        for (int i = 0; i < LOOKS; i++) {
            /* T2: acquire; pairs with T3 */
            uint64_t count = atomic_load_explicit(&added, memory_order_acquire);
            if (count > 0) {
                find_one(handle.edge, seed_below(&seed, count));
                finder->looks++;
            }
        }
        edge_pass_end(handle.edge);
        edge_pass_begin(handle.edge);
    }
    handle_close(&handle);
    return NULL;
}

static void add_all(struct handle *handle)
{
    char label[LABEL_BYTES];
    for (uint64_t i = 0; i < OPTIONS; i++) {
        int err;
        struct span text = label_of(label, i);
        HANDLE_ASK(err, handle, edge_option(handle->edge, SPAN("p"), text, (struct span){0}));
        EXPECT(err == 0, "option: %s", tally_err_name(err));
        if (i % AT_ONCE == AT_ONCE - 1) {
            handle_settle(handle);
            /* T3: release; pairs with T2 */
            atomic_store_explicit(&added, i + 1, memory_order_release);
        }
    }
}

int main(void)
{
    char dir[256];
    struct finder finders[READERS];
    struct handle handle;
    files_temp_dir(dir, sizeof(dir));
    struct tally *tally = handle_engine(dir, READERS + 1);
    handle_open(&handle, tally);
    handle_poll(&handle, "p");
    pthread_barrier_init(&start, NULL, READERS + 1);
    for (int i = 0; i < READERS; i++) {
        finders[i] = (struct finder){.tally = tally, .seed = (uint64_t)i + 1};
        EXPECT(pthread_create(&finders[i].thread, NULL, find_main, &finders[i]) == 0, "thread");
    }
    pthread_barrier_wait(&start);
    add_all(&handle);
    /* T1: relaxed: the end may be seen late */
    atomic_store_explicit(&over, true, memory_order_relaxed);
    handle_close(&handle);
    for (int i = 0; i < READERS; i++) {
        pthread_join(finders[i].thread, NULL);
        printf("looks: %lu\n", (unsigned long)finders[i].looks);
    }
    EXPECT(tally_close(tally) == 0, "close");
    files_remove_tree(dir);
    return 0;
}
