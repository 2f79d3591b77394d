/* One fixed life of a log, in which the k-th file call or the k-th allocation fails, for every k.
 */
#include "tests/crash/allocations.h"
#include "tests/crash/run.h"

#include "tests/lib/count.h"
#include "wal/base/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum phase { START, AHEAD, APPEND, CONFIRM, ROTATE, CLOSE, REOPEN, REPAIR, PHASES };

static const char *const phase_names[PHASES] = {"start",  "ahead", "append", "confirm",
                                                "rotate", "close", "reopen", "repair"};

/*
 * The fault points: in each phase, the calls it must make. A point that no case hits fails the
 * suite, and so does one that is hit and not listed: then this table is old.
 */
#define ON(call) (1U << DISK_##call)
static const unsigned points[PHASES] = {
    [START] = ON(OPEN) | ON(CLOSE) | ON(PWRITE) | ON(SYNC) | ON(RENAME) | ON(UNLINK) | ON(SYNCDIR) |
              ON(LIST) | ON(LOCK),
    [AHEAD] = ON(OPEN) | ON(CLOSE) | ON(PWRITE) | ON(PREAD) | ON(SIZE) | ON(DATASYNC) | ON(SYNC) |
              ON(RENAME) | ON(UNLINK) | ON(SYNCDIR),
    /* one of them rotates; the first ones look for space where the start has found none */
    [APPEND] = ON(OPEN) | ON(CLOSE) | ON(PWRITE) | ON(DATASYNC) | ON(LIST),
    [CONFIRM] = ON(PWRITE) | ON(DATASYNC),
    [ROTATE] = ON(CLOSE) | ON(PWRITE) | ON(DATASYNC),
    [CLOSE] = ON(CLOSE) | ON(PWRITE) | ON(DATASYNC) | ON(SYNC) | ON(TRUNCATE),
    [REOPEN] = ON(OPEN) | ON(CLOSE) | ON(PWRITE) | ON(PREAD) | ON(SIZE) | ON(DATASYNC) | ON(SYNC) |
               ON(DROP_CACHE) | ON(TRUNCATE) | ON(SYNCDIR) | ON(LIST) | ON(LOCK),
    [REPAIR] = ON(OPEN) | ON(CLOSE) | ON(PWRITE) | ON(PREAD) | ON(SIZE) | ON(DATASYNC) | ON(SYNC) |
               ON(DROP_CACHE) | ON(TRUNCATE) | ON(RENAME) | ON(SYNCDIR) | ON(LIST) | ON(LOCK),
};

static unsigned hits[PHASES];
static uint64_t cases;
static struct run run;

/* ---- allocations ---- */

static uint64_t starve_at; /* this one fails; 0: none */

/* The disk's own allocations do not count. */
bool allocation_fails(void)
{
    if (starve_at == 0 || !run.is_inside || run.disk.is_busy || --starve_at > 0) {
        return false;
    }
    run.is_starved = true;
    return true;
}

/* ---- the life ---- */

static bool begin(enum phase phase)
{
    run.disk.hits = &hits[phase];
    return true;
}

/* Ends a step: the calls of the helper after it are a phase of their own. */
static bool settled(bool is_right)
{
    begin(AHEAD);
    if (is_right) {
        run.is_inside = true;
        fiber_settle();
        run.is_inside = false;
    }
    return is_right;
}

static bool live(void)
{
    static const struct {
        enum phase phase;
        char op;
    } steps[] = {{APPEND, 'a'}, {APPEND, 'n'}, {CONFIRM, 'c'}, {APPEND, 'l'},
                 {ROTATE, 'r'}, {ROTATE, 'r'}, {APPEND, 'a'}};
    bool is_right = begin(START) && settled(run_open(&run));
    for (size_t i = 0; is_right && i < COUNT_OF(steps); i++) {
        is_right = begin(steps[i].phase) && settled(run_do(&run, steps[i].op));
    }
    is_right = is_right && begin(CLOSE) && run_close_clean(&run);
    is_right = is_right && begin(REOPEN) && settled(run_open(&run));
    is_right = is_right && begin(APPEND) && run_do(&run, 'n') && settled(run_do(&run, 'a'));
    is_right = is_right && begin(APPEND) && run_tear(&run);
    is_right = is_right && begin(REPAIR) && settled(run_open(&run));
    is_right = is_right && begin(APPEND) && run_do(&run, 'a');
    is_right = is_right && begin(REOPEN) && settled(run_do(&run, 'P'));
    /* nothing was appended: the helper finds its segment made */
    return is_right && begin(REOPEN) && settled(run_do(&run, 'k'));
}

/* ---- the suite ---- */

/* The fault of a case, for the k-th call. */
static const struct kind {
    const char *name;
    int err;
    bool stays;
    bool is_nothing; /* the fault must have no effect on the log */
    uint32_t only;
} kinds[] = {
    {"EIO", -EIO, false, false, 0},
    {"EIO from then on", -EIO, true, false, 0},
    {"ENOSPC", -ENOSPC, false, false, 0},
    {"ENOSPC from then on", -ENOSPC, true, false, 0},
    {"EINTR", -EINTR, false, true, 1U << DISK_PREAD | 1U << DISK_PWRITE},
    {"short", 0, false, true, 1U << DISK_PREAD | 1U << DISK_PWRITE},
};

/* Returns whether there was a k-th call. */
static bool one_call(const struct kind *kind, uint64_t k, bool *is_right)
{
    run_init(&run, 1, FIBER_WRITER_FIRST);
    run.disk.point = fiber_point;
    run.disk.fault = (struct disk_fault){
        .countdown = k, .only = kind->only, .err = kind->err, .stays = kind->stays};
    *is_right = live();
    bool was_hit = run.disk.faults > 0;
    if (*is_right && kind->is_nothing && run.excuses > 0) {
        snprintf(run.wrong, sizeof(run.wrong), "a call failed that has to go on");
        *is_right = false;
    }
    if (!*is_right) {
        printf("WRONG: call %" PRIu64 ", %s: %s\n", k, kind->name, run.wrong);
    }
    run_fini(&run);
    return was_hit;
}

static bool each_call(const struct kind *kind)
{
    bool is_right = true;
    uint64_t k = 1;
    while (one_call(kind, k, &is_right) && is_right) {
        k++;
        cases++;
    }
    printf("%s: %" PRIu64 " calls\n", kind->name, k - 1);
    return is_right;
}

static bool one_allocation(uint64_t k, bool *is_right)
{
    run_init(&run, 1, FIBER_WRITER_FIRST);
    run.disk.point = fiber_point;
    starve_at = k;
    *is_right = live();
    bool was_hit = starve_at == 0;
    starve_at = 0;
    if (!*is_right) {
        printf("WRONG: allocation %" PRIu64 ": %s\n", k, run.wrong);
    }
    run_fini(&run);
    return was_hit;
}

static bool each_allocation(void)
{
    bool is_right = true;
    uint64_t k = 1;
    while (one_allocation(k, &is_right) && is_right) {
        k++;
        cases++;
    }
    printf("allocations: %" PRIu64 "\n", k - 1);
    return is_right;
}

static bool check_points(void)
{
    bool is_right = true;
    unsigned count = 0;
    for (unsigned phase = 0; phase < PHASES; phase++) {
        for (unsigned call = 0; call < DISK_CALLS; call++) {
            bool is_listed = (points[phase] >> call & 1) != 0;
            bool is_hit = (hits[phase] >> call & 1) != 0;
            count += is_listed && is_hit;
            if (is_listed != is_hit) {
                printf("WRONG: fault point %s in %s %s\n", disk_call_name(call), phase_names[phase],
                       is_hit ? "is hit and not listed" : "is listed and no case hits it");
                is_right = false;
            }
        }
    }
    printf("%u fault points, all hit\n", count);
    return is_right;
}

int main(void)
{
    bool is_right = true;
    for (size_t i = 0; is_right && i < COUNT_OF(kinds); i++) {
        is_right = each_call(&kinds[i]);
    }
    is_right = is_right && each_allocation();
    is_right = is_right && check_points();
    if (is_right) {
        printf("%" PRIu64 " faults, 0 violations\n", cases);
    }
    return is_right ? 0 : 1;
}
