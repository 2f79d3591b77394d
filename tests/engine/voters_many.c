/* How many bytes a voter takes, and how long a voter is looked up and put, in a set that grows.
 * `--voters 10000000` measures the largest that is promised, by hand. */
#include "engine/state/voters.h"
#include "tests/lib/check.h"
#include "tests/lib/expect.h"
#include "tests/lib/seed.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { VOTERS = 300000, LEN = 36, LOOKS = 256, AHEAD = 4, SLICE_PIECES = 8 };

/* Small sets are in chunks that are large beside them. */
enum { VOTERS_MEASURED = 100000, BYTES_MAX = 64 };

static struct voters voters;

/* A text like that of a UUID. */
static struct span name_voter(char text[LEN], uint64_t number)
{
    struct seed seed = {number};
    unsigned char random[40];
    seed_fill(seed_next(&seed), random, sizeof(random));
    for (int i = 0; i < LEN; i++) {
        text[i] = "0123456789abcdef"[random[i] & 15];
    }
    text[8] = text[13] = text[18] = text[23] = '-';
    return (struct span){text, LEN};
}

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

#ifdef TALLY_DEBUG
/* The sanitizers' allocator takes memory beside each allocation. */
static uint64_t resident_bytes(void)
{
    return 0;
}
#else
static uint64_t resident_bytes(void)
{
    unsigned long long size = 0;
    unsigned long long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    EXPECT(file != NULL && fscanf(file, "%llu %llu", &size, &resident) == 2, "statm");
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}
#endif

/* Puts all voters, each after a look for it, as apply does. Returns the most bytes a voter. */
static double put_all(uint64_t count)
{
    double worst = 0;
    uint64_t before = resident_bytes();
    for (uint64_t i = 0; i < count; i++) {
        char text[LEN];
        struct voters_view view;
        uint32_t place = (uint32_t)i % 20;
        struct voters_entry entry = {name_voter(text, i), &place, 1, 1};
        EXPECT(!voters_find(&voters, entry.voter, &view), "voter %" PRIu64 " is there", i);
        EXPECT(voters_put(&voters, &entry) == 0, "no memory");
        if (i >= VOTERS_MEASURED && i % (count / LOOKS + 1) == 0) {
            double resident = (double)(resident_bytes() - before) / (double)i;
            double counted = (double)voters_bytes(&voters) / (double)i;
            worst = resident > worst ? resident : worst;
            worst = counted > worst ? counted : worst;
        }
    }
    return worst;
}

static void find_all(uint64_t first, uint64_t count, bool is_there)
{
    for (uint64_t i = 0; i < count; i++) {
        char text[LEN];
        struct voters_view view;
        struct span voter = name_voter(text, first + (i * 7919) % count);
        EXPECT(voters_find(&voters, voter, &view) == is_there, "voter %" PRIu64, i);
    }
}

static void find_prefetched(uint64_t count)
{
    char text[AHEAD][LEN];
    for (uint64_t i = 0; i < count + AHEAD; i++) {
        struct voters_view view;
        struct span last = {text[i % AHEAD], LEN};
        EXPECT(i < AHEAD || voters_find(&voters, last, &view), "voter %" PRIu64, i);
        voters_prefetch(&voters, name_voter(text[i % AHEAD], (i * 7919) % count));
    }
}

static void walk(uint64_t count)
{
    struct voters_view view;
    uint64_t met = 0;
    for (voters_walk(&voters); !voters_is_walked(&voters);) {
        for (uint64_t blocks = LOOKS; voters_next(&voters, &blocks, &view); met++) {
            voters_mark(&voters, &view, 2);
        }
    }
    EXPECT(met == count, "%" PRIu64 " of %" PRIu64 " were met", met, count);
}

/* Prints the processor time of each since `start`. Returns the time now. */
static double say(const char *what, double start, uint64_t count)
{
    double now = cpu_s();
    printf("  %-34s %7.0f ns\n", what, (now - start) * 1e9 / (double)count);
    return cpu_s();
}

static void free_all(void)
{
    double worst = 0;
    bool is_done = false;
    while (!is_done) {
        double start = cpu_s();
        is_done = voters_free_some(&voters, SLICE_PIECES);
        worst = cpu_s() - start > worst ? cpu_s() - start : worst;
    }
    printf("  %-34s %7.0f us\n", "the longest slice of freeing", worst * 1e6);
}

int main(int argc, char **argv)
{
    uint64_t count = check_option(argc, argv, "--voters", VOTERS);
    voters_init(&voters, 42);
    double start = cpu_s();
    double bytes = put_all(count);
    printf("  %-34s %7.2f bytes\n", "a voter, at most", bytes);
    start = say("a look and a put of a new voter", start, count);
    find_all(0, count, true);
    start = say("a look for one that is there", start, count);
    find_all(count, count, false);
    start = say("a look for one that is not", start, count);
    find_prefetched(count);
    start = say("a look for one that is prefetched", start, count);
    walk(count);
    say("a step of a walk", start, count);
    free_all();
    EXPECT(bytes <= BYTES_MAX, "%.2f bytes a voter", bytes);
    return 0;
}
