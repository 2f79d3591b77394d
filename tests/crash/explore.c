/* The explorer: runs a script on a simulated disk, and checks the image of a crash at each call. */
#include "tests/crash/explore.h"

#include "tests/crash/run.h"
#include "wal/base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An image: a disk as a crash has left it, and the model of its contents. */
struct disk_image {
    struct disk disk;
    struct model model;
    struct explore_crash path[EXPLORE_DEPTH_MAX];
    unsigned depth; /* number of crashes on the way to it */
};

/* The pile of images to be checked: the last one first, so that there are never many. */
struct pile {
    struct disk_image *images;
    size_t count;
    size_t room;
};

/* One run whose calls are watched. */
struct watch {
    struct explorer *explorer;
    struct pile *pile;
    const struct explore_case *what;
    struct run run;
    struct explore_crash path[EXPLORE_DEPTH_MAX];
    unsigned depth;
    uint64_t last_changes; /* of the disk at the last check: unchanged, there is no new image */
    size_t last_acked;
    size_t last_count;
};

static uint64_t mix(uint64_t a, uint64_t b)
{
    struct seed seed = {a * 0x9e3779b97f4a7c15u ^ b};
    return seed_next(&seed);
}

/* The seed of a run's choices: it depends on the path to the image alone, on no earlier check. */
static uint64_t watch_seed(const struct watch *watch)
{
    uint64_t seed = watch->what->seed;
    for (unsigned i = 0; i < watch->depth; i++) {
        seed = mix(seed, mix(watch->path[i].call, watch->path[i].choice.number));
        seed = mix(seed, watch->path[i].choice.loss);
    }
    return seed;
}

static void pile_add(struct watch *watch, const struct disk *disk, struct disk_choice choice)
{
    struct pile *pile = watch->pile;
    if (pile->count == pile->room) {
        pile->room = pile->room * 2 + 64;
        pile->images = realloc(pile->images, pile->room * sizeof(*pile->images));
        CHECK(pile->images != NULL);
    }
    struct disk_image *image = &pile->images[pile->count++];
    disk_clone(&image->disk, disk);
    disk_crash(&image->disk, choice);
    image->disk.space_bytes = 0;
    model_copy(&image->model, &watch->run.model);
    memcpy(image->path, watch->path, sizeof(image->path));
    image->path[watch->depth] = (struct explore_crash){disk->calls, choice};
    image->depth = watch->depth + 1;
}

static void look(struct watch *watch, const struct disk *disk)
{
    const struct explore_limits *limits = &watch->explorer->limits;
    unsigned pending = disk_pending(disk);
    uint64_t seed = mix(watch_seed(watch), disk->calls);
    bool is_deep = watch->depth > 0;
    unsigned bits = is_deep ? 1 : limits->mask_bits;
    if (pending <= bits) {
        for (uint64_t mask = 0; mask < (uint64_t)1 << pending; mask++) {
            pile_add(watch, disk, (struct disk_choice){DISK_LOSE_MASK, mask});
        }
    } else {
        pile_add(watch, disk, (struct disk_choice){DISK_LOSE_ALL, 0});
        pile_add(watch, disk, (struct disk_choice){DISK_KEEP_ALL, 0});
        for (unsigned i = 0; i < (is_deep ? 0 : limits->subsets); i++) {
            pile_add(watch, disk, (struct disk_choice){DISK_LOSE_MASK, mix(seed, i)});
        }
    }
    if (pending == 0) {
        return;
    }
    for (unsigned i = 0; i < (is_deep ? 1 : limits->randoms); i++) {
        struct disk_choice choice = {DISK_LOSE_RANDOM, mix(seed, 1000 + i) >> 32};
        pile_add(watch, disk, choice);
    }
    pile_add(watch, disk, (struct disk_choice){DISK_LOSE_NONE, 0});
}

static void replay(struct watch *watch, const struct disk *disk)
{
    const struct explore_case *what = watch->what;
    if (watch->depth < what->path_len && what->path[watch->depth].call == disk->calls) {
        pile_add(watch, disk, what->path[watch->depth].choice);
    }
}

/* Before each call. */
static void before(void *arg, const struct disk *disk, enum disk_call call)
{
    struct watch *watch = arg;
    const struct model *model = &watch->run.model;
    unsigned one_of =
        watch->depth == 0 ? watch->explorer->limits.one_of : watch->explorer->limits.one_of_deep;
    (void)call;
    if (watch->depth == EXPLORE_DEPTH_MAX) {
        return;
    }
    if (watch->explorer->is_replay) {
        replay(watch, disk);
        return;
    }
    if (disk->changes == watch->last_changes && model->acked == watch->last_acked &&
        model->count == watch->last_count) {
        return;
    }
    watch->last_changes = disk->changes;
    watch->last_acked = model->acked;
    watch->last_count = model->count;
    if (mix(watch_seed(watch), disk->calls * 2 + 1) % one_of == 0) {
        look(watch, disk);
    }
}

static void note_failure(struct watch *watch)
{
    struct explorer *explorer = watch->explorer;
    explorer->failed = true;
    explorer->found = *watch->what;
    memcpy(explorer->found.path, watch->path, sizeof(watch->path));
    explorer->found.path_len = watch->depth;
    snprintf(explorer->text, sizeof(explorer->text), "%s", watch->run.wrong);
}

static void go(struct watch *watch, const char *script)
{
    struct run *run = &watch->run;
    run->disk.point = fiber_point;
    run->disk.before = before;
    run->disk.before_arg = watch;
    watch->last_changes = UINT64_MAX;
    bool is_right = run_script(run, script);
    run_stop(run);
    watch->explorer->calls += run->disk.calls;
    watch->explorer->recoveries += run->opens;
    watch->explorer->loads += run->loads;
    watch->explorer->removed += run->removed;
    watch->explorer->packed += run->packed;
    if (!is_right && !watch->explorer->failed) {
        note_failure(watch);
    }
    run_fini(run);
}

/* After a crash: appends one more block, then loses everything that is not durable, and expects the
 * same log. With snapshots also from the older one; the janitor gets its time. */
static const char *afterwards(const struct explore_case *what)
{
    if (strchr(what->script, 'S') != NULL) {
        return "aSsPd";
    }
    return strchr(what->script, 'j') != NULL ? "asP" : "aP";
}

/* The disk and the model of the image go over to the run. */
static void check(struct explorer *explorer, struct pile *pile, const struct explore_case *what)
{
    struct disk_image image = pile->images[--pile->count];
    struct watch watch = {.explorer = explorer, .pile = pile, .what = what, .depth = image.depth};
    memcpy(watch.path, image.path, sizeof(watch.path));
    explorer->images++;
    explorer->images_by_depth[image.depth]++;
    run_init(&watch.run, watch_seed(&watch), what->order);
    disk_fini(&watch.run.disk);
    watch.run.disk = image.disk;
    watch.run.model = image.model;
    watch.run.has_janitor = strchr(what->script, 'j') != NULL;
    go(&watch, afterwards(what));
}

static void pile_turn(struct pile *pile)
{
    for (size_t i = 0; i < pile->count / 2; i++) {
        struct disk_image image = pile->images[i];
        pile->images[i] = pile->images[pile->count - 1 - i];
        pile->images[pile->count - 1 - i] = image;
    }
}

void explore(struct explorer *explorer, const struct explore_case *what)
{
    struct pile pile = {.images = NULL};
    struct watch watch = {.explorer = explorer, .pile = &pile, .what = what};
    run_init(&watch.run, what->seed, what->order);
    watch.run.disk.habits = what->habits;
    watch.run.disk.seed.state = mix(what->seed, 77);
    go(&watch, what->script);
    pile_turn(&pile); /* the first crash first, so that a failure has the shortest life */
    while (pile.count > 0 && !explorer->failed) {
        check(explorer, &pile, what);
    }
    while (pile.count > 0) {
        struct disk_image *image = &pile.images[--pile.count];
        disk_fini(&image->disk);
        model_fini(&image->model);
    }
    free(pile.images);
}

/* Whether the script without operation i fails, too; then that becomes the case. */
static bool shrink_at(struct explorer *explorer, size_t i)
{
    struct explorer again = {.limits = explorer->limits};
    struct explore_case less = explorer->found;
    size_t len = strlen(less.script);
    less.path_len = 0;
    memmove(less.script + i, less.script + i + 1, len - i);
    again.limits.one_of = 1;
    explore(&again, &less);
    if (again.failed) {
        explorer->found = again.found;
        memcpy(explorer->text, again.text, sizeof(again.text));
    }
    return again.failed;
}

void explore_shrink(struct explorer *explorer)
{
    CHECK(explorer->failed);
    for (size_t i = strlen(explorer->found.script); i-- > 0;) {
        shrink_at(explorer, i);
    }
}

void explore_case_put(const struct explore_case *from, char *text, size_t room)
{
    size_t len = (size_t)snprintf(text, room, "%s:%u:%d:%" PRIu64, from->script, from->habits,
                                  (int)from->order, from->seed);
    for (unsigned i = 0; i < from->path_len && len < room; i++) {
        const struct explore_crash *crash = &from->path[i];
        len += (size_t)snprintf(text + len, room - len, "%c%" PRIu64 ".%d.%" PRIu64,
                                i == 0 ? ':' : ',', crash->call, (int)crash->choice.loss,
                                crash->choice.number);
    }
}

bool explore_case_get(struct explore_case *to, const char *text)
{
    int order = 0;
    int used = 0;
    *to = (struct explore_case){.script = ""};
    size_t len = strcspn(text, ":");
    if (len >= sizeof(to->script) || text[len] != ':') {
        return false;
    }
    memcpy(to->script, text, len);
    text += len;
    if (sscanf(text, ":%u:%d:%" SCNu64 "%n", &to->habits, &order, &to->seed, &used) != 3) {
        return false;
    }
    to->order = (enum fiber_order)order;
    text += used;
    while (*text != '\0' && to->path_len < EXPLORE_DEPTH_MAX) {
        struct explore_crash *crash = &to->path[to->path_len++];
        int loss = 0;
        if (sscanf(text + 1, "%" SCNu64 ".%d.%" SCNu64 "%n", &crash->call, &loss,
                   &crash->choice.number, &used) != 3) {
            return false;
        }
        crash->choice.loss = (enum disk_loss)loss;
        text += 1 + used;
    }
    return *text == '\0';
}
