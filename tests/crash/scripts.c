/* The scripts that are explored: all short ones, and long ones from a seed. */
#include "tests/crash/scripts.h"

#include <string.h>

static const char short_ops[] = "anlrcxk";

static const unsigned disks[] = {
    DISK_TEARS,
    DISK_DIR_IN_ORDER | DISK_GARBLES,
    DISK_SIZE_FIRST | DISK_TEARS | DISK_GARBLES,
    DISK_STUTTERS | DISK_GARBLES,
    DISK_SIZE_FIRST | DISK_DIR_IN_ORDER,
};

static const struct explore_limits short_limits = {
    .mask_bits = 4, .subsets = 2, .randoms = 2, .one_of = 1, .one_of_deep = 40};
static const struct explore_limits random_limits = {
    .mask_bits = 3, .subsets = 2, .randoms = 3, .one_of = 8, .one_of_deep = 40};

/* Script number n of that length; the last operation changes fastest. */
static void short_script(char *script, unsigned len, uint64_t n)
{
    size_t ops = strlen(short_ops);
    script[len] = '\0';
    while (len > 0) {
        script[--len] = short_ops[n % ops];
        n /= ops;
    }
}

bool scripts_short(struct explorer *explorer, uint64_t images_max)
{
    uint64_t count = 1;
    unsigned turn = 0;
    explorer->limits = short_limits;
    for (unsigned len = 0; len <= SCRIPTS_SHORT; len++) {
        for (uint64_t n = 0; n < count; n++, turn++) {
            struct explore_case what = {
                .habits = disks[turn % (sizeof(disks) / sizeof(disks[0]))],
                .order = (enum fiber_order)(turn % 3),
                .seed = turn,
            };
            short_script(what.script, len, n);
            explore(explorer, &what);
            if (explorer->failed || explorer->images >= images_max) {
                return false;
            }
        }
        count *= strlen(short_ops);
    }
    return true;
}

void scripts_random_next(struct scripts_random *random, struct explorer *explorer)
{
    static const char ops[] = "aaaaaannnlllrrccxkkpppstfffe";
    struct seed *seed = &random->seed;
    struct explore_case what = {
        .habits = (unsigned)seed_below(seed, 32),
        .order = (enum fiber_order)seed_below(seed, 3),
        .seed = seed_next(seed) >> 32,
    };
    size_t len = 4 + seed_below(seed, 40);
    bool is_full = false;
    for (size_t i = 0; i < len; i++) {
        char op = ops[seed_below(seed, sizeof(ops) - 1)];
        if (op == 'e' || (is_full && seed_below(seed, 4) == 0)) {
            op = is_full ? 'h' : 'e';
            is_full = !is_full;
        }
        what.script[i] = op;
    }
    explorer->limits = random_limits;
    explore(explorer, &what);
}
