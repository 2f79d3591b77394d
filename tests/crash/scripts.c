/* The scripts that are explored: all short ones, and long ones from a seed. */
#include "tests/crash/scripts.h"
#include "tests/lib/count.h"

#include <string.h>

static const char short_ops[] = "anlrcxkS";

static const unsigned disks[] = {
    DISK_TEARS,
    DISK_DIR_IN_ORDER | DISK_GARBLES,
    DISK_SIZE_FIRST | DISK_TEARS | DISK_GARBLES,
    DISK_STUTTERS | DISK_GARBLES,
    DISK_SIZE_FIRST | DISK_DIR_IN_ORDER,
};

static const struct explore_limits short_limits = {
    .mask_bits = 4, .subsets = 2, .randoms = 2, .one_of = 1, .one_of_deep = 40};
/* With a snapshot, the steps after a crash make three times as many calls. */
static const struct explore_limits snap_limits = {
    .mask_bits = 4, .subsets = 2, .randoms = 2, .one_of = 1, .one_of_deep = 160};
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
    for (unsigned len = 0; len <= SCRIPTS_SHORT; len++) {
        for (uint64_t n = 0; n < count; n++, turn++) {
            struct explore_case what = {
                .habits = disks[turn % (COUNT_OF(disks))],
                .order = (enum fiber_order)(turn % 3),
                .seed = turn,
            };
            short_script(what.script, len, n);
            bool has_snap = strchr(what.script, 'S') != NULL;
            explorer->limits = has_snap ? snap_limits : short_limits;
            explore(explorer, &what);
            if (explorer->failed || explorer->images >= images_max) {
                return false;
            }
        }
        count *= strlen(short_ops);
    }
    return true;
}

/* The operations of a random script. */
static const struct mix {
    const char *ops; /* a letter that is there twice is twice as likely */
    size_t len_max;
    bool has_janitor;
} mixes[] = {
    {"aaaaaannnlllrrccxkkpppstfffe", 44, false},
    {"aaannlrrrrrrrSSSSSSssssdcxkppptfe", 44, false},
    /* short segments of small records are worth packing; other segments only cost time */
    {"aaaaaaaaaannrkkkkxSSSssssttppdcfe", 24, true},
};

void scripts_random_next(struct scripts_random *random, struct explorer *explorer)
{
    struct seed *seed = &random->seed;
    const struct mix *mix = &mixes[seed_below(seed, COUNT_OF(mixes))];
    struct explore_case what = {
        .habits = (unsigned)seed_below(seed, 32),
        .order = (enum fiber_order)seed_below(seed, 3),
        .seed = seed_next(seed) >> 32,
    };
    size_t len = 4 + seed_below(seed, mix->len_max - 4);
    bool is_full = false;
    for (size_t i = 0; i < len; i++) {
        char op = mix->ops[seed_below(seed, strlen(mix->ops))];
        if (op == 'e' || (is_full && seed_below(seed, 4) == 0)) {
            op = is_full ? 'h' : 'e';
            is_full = !is_full;
        }
        what.script[i] = op;
    }
    if (mix->has_janitor) {
        what.script[0] = 'j';
    }
    explorer->limits = random_limits;
    explore(explorer, &what);
}
