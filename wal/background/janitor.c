/* The janitor: the background thread that packs and scrubs sealed segments. */
#include "wal/background/janitor.h"

#include "wal/base/clock.h"
#include "wal/base/err.h"
#include "wal/base/thread.h"
#include "wal/background/pack.h"
#include "wal/background/scrub.h"
#include "wal/format/snapshot.h"
#include "wal/disk/space.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* To pack a byte of log, two to three bytes are read and written, so the janitor keeps up with 3 to
 * 4 MiB of log a second, and packs the segments of a peak after the peak. At four times this rate
 * its syncs slowed commits down. */
#define PACK_BYTES_PER_S  ((uint64_t)8 << 20)
#define RETRY_MS          30000U
#define SCRUB_BYTES_PER_S ((uint64_t)4 << 20)
#define SCRUB_EVERY_MS    86400000U

/* The janitor does not sleep for a shorter time than this: it adds the time to the next wait. */
#define DEBT_NS_MIN       NS_PER_MS

struct wal_janitor {
    /* set once, before the thread starts */
    struct wal_io *io;
    pthread_mutex_t *files;
    const _Atomic uint64_t *reserve;
    struct wal_janitor_options options;
    pthread_t thread;

    /* written by others, read by the janitor; posted after each change */
    sem_t wake;
    _Atomic uint64_t active; /* the number of the segment that is written */
    atomic_bool stop;

    /* the janitor's */
    uint64_t failed_from; /* the lowest segment that has to be tried again; 0: none */
    uint64_t retry_at_ns;
    uint64_t bytes_per_s; /* the rate of its present task */
    uint64_t free_at_ns;  /* when the time for the bytes handled so far has passed */
    struct wal_scrub scrub;
    uint64_t scrub_next; /* the segment to scrub next; 0: no pass is under way */
    uint64_t scrub_at_ns;
    uint64_t scrub_found; /* damaged files of this pass */

    pthread_mutex_t told; /* guards damaged and damage */
    uint64_t damaged;
    struct wal_report damage;

    /* written by the janitor, read by anybody */
    _Atomic uint64_t next; /* the segment to be packed next; 0: not known yet */
    _Atomic uint64_t packed_segments, packed_from_bytes, packed_to_bytes, pack_failures;
    _Atomic uint64_t scrub_passes, scrub_bytes;
};

/* C1: relaxed: counts publish nothing */
#define COUNT_GET(field)    atomic_load_explicit(&(field), memory_order_relaxed)
/* C2: relaxed: as C1; the janitor alone writes them */
#define COUNT_ADD(field, n) atomic_fetch_add_explicit(&(field), (n), memory_order_relaxed)
/* C3: relaxed: as C1 */
#define COUNT_SET(field, n) atomic_store_explicit(&(field), (n), memory_order_relaxed)

static bool janitor_is_stopped(struct wal_janitor *janitor)
{
    /* J1: acquire; pairs with J2 */
    return atomic_load_explicit(&janitor->stop, memory_order_acquire);
}

static uint64_t active_get(struct wal_janitor *janitor)
{
    /* J3: acquire; pairs with J4 and J5: all segments below were sealed before */
    return atomic_load_explicit(&janitor->active, memory_order_acquire);
}

/* Waits until that time, or until somebody posts wake. */
static void wait_until(struct wal_janitor *janitor, uint64_t until_ns)
{
    const struct timespec until = {
        .tv_sec = (time_t)(until_ns / NS_PER_S),
        .tv_nsec = (long)(until_ns % NS_PER_S),
    };
    sem_clockwait(&janitor->wake, CLOCK_MONOTONIC, &until);
}

/* Waits until the time for so many bytes has passed. Posts of that time are handled later. */
static int pace(void *arg, size_t bytes)
{
    struct wal_janitor *janitor = arg;
    uint64_t now_ns = clock_mono_ns();
    if (janitor->free_at_ns < now_ns) {
        janitor->free_at_ns = now_ns;
    }
    janitor->free_at_ns += bytes * NS_PER_S / janitor->bytes_per_s;
    while (!janitor_is_stopped(janitor) && janitor->free_at_ns > clock_mono_ns() + DEBT_NS_MIN) {
        wait_until(janitor, janitor->free_at_ns);
    }
    return janitor_is_stopped(janitor) ? -ECANCELED : 0;
}

/* As pace; also ends the packing when no more than the reserve is free on the disk. */
static int pack_pace(void *arg, size_t bytes)
{
    struct wal_janitor *janitor = arg;
    int err = pace(janitor, bytes);
    return err == 0 && !wal_space_takes(janitor->io, 0, janitor->reserve) ? -ENOSPC : err;
}

/* Notes a failed try. The segments behind are packed first, then the failed one is tried again. */
static void pack_failed(struct wal_janitor *janitor, uint64_t number)
{
    COUNT_ADD(janitor->pack_failures, 1);
    if (janitor->failed_from == 0 || number < janitor->failed_from) {
        janitor->failed_from = number;
    }
    janitor->retry_at_ns = clock_mono_ns() + janitor->options.retry_ms * NS_PER_MS;
}

static void damage_report(struct wal_janitor *janitor, uint64_t found,
                          const struct wal_report *damage)
{
    pthread_mutex_lock(&janitor->told);
    janitor->damage = *damage;
    if (janitor->damaged < found) {
        janitor->damaged = found;
    }
    pthread_mutex_unlock(&janitor->told);
    if (janitor->options.on_damage != NULL) {
        janitor->options.on_damage(janitor->options.arg, damage);
    }
}

static void pack(struct wal_janitor *janitor, uint64_t number)
{
    janitor->bytes_per_s = janitor->options.pack_bytes_per_s;
    struct wal_pack pack = {
        .io = janitor->io,
        .number = number,
        .replaces = janitor->files,
        .pace = pack_pace,
        .arg = janitor,
    };
    int err = wal_pack_run(&pack);
    if (err == WAL_PACKED) {
        COUNT_ADD(janitor->packed_from_bytes, pack.from_bytes);
        COUNT_ADD(janitor->packed_to_bytes, pack.to_bytes);
        COUNT_ADD(janitor->packed_segments, 1);
    } else if (pack.is_damaged) {
        damage_report(janitor, 1, &pack.damage); /* final: another try would find the same */
        COUNT_ADD(janitor->pack_failures, 1);
    } else if (err < 0 && err != -ENOENT && err != -ECANCELED) {
        pack_failed(janitor, number);
    }
}

static int number_min(void *arg, const char *name)
{
    uint64_t *lowest = arg;
    uint64_t number;
    if (wal_segment_is_name(name, &number) && number < *lowest) {
        *lowest = number;
    }
    return 0;
}

/* Returns the oldest segment's number; 0 when the directory cannot be listed. */
static uint64_t find_first(struct wal_janitor *janitor)
{
    uint64_t lowest = active_get(janitor);
    int err = janitor->io->ops->list(janitor->io, number_min, &lowest);
    return err == 0 ? lowest : 0;
}

static bool pack_first(struct wal_janitor *janitor)
{
    uint64_t first = find_first(janitor);
    COUNT_SET(janitor->next, first);
    if (first == 0) {
        pack_failed(janitor, 0);
    }
    return first != 0;
}

/* Packs one segment, if one is left. Returns whether there may be more to pack. */
static bool pack_next(struct wal_janitor *janitor)
{
    uint64_t next = COUNT_GET(janitor->next);
    if (next == 0) {
        return clock_mono_ns() >= janitor->retry_at_ns && pack_first(janitor);
    }
    if (next < active_get(janitor)) {
        pack(janitor, next);
        if (!janitor_is_stopped(janitor)) {
            COUNT_SET(janitor->next, next + 1);
        }
        return true;
    }
    if (janitor->failed_from != 0 && clock_mono_ns() >= janitor->retry_at_ns) {
        COUNT_SET(janitor->next, janitor->failed_from);
        janitor->failed_from = 0;
        return true;
    }
    return false;
}

/* ---- the scrub ---- */

static int scrub_pace(void *arg, size_t bytes)
{
    struct wal_janitor *janitor = arg;
    COUNT_ADD(janitor->scrub_bytes, bytes);
    return pace(janitor, bytes);
}

static void scrub_begin(struct wal_janitor *janitor)
{
    janitor->scrub_at_ns = clock_mono_ns() + janitor->options.scrub_every_ms * NS_PER_MS;
    janitor->scrub_next = find_first(janitor);
    janitor->scrub_found = 0;
    if (janitor->scrub_next != 0) {
        wal_scrub_init(&janitor->scrub, janitor->io, scrub_pace, janitor);
    }
}

static void scrub_found(struct wal_janitor *janitor, const struct wal_report *damage)
{
    janitor->scrub_found++;
    damage_report(janitor, janitor->scrub_found, damage);
}

static void scrub_snapshots(struct wal_janitor *janitor)
{
    struct wal_listing lsns = {.count = 0};
    int err = wal_listing_read(&lsns, janitor->io, wal_snapshot_is_name);
    for (size_t i = 0; err == 0 && i < lsns.count && !janitor_is_stopped(janitor); i++) {
        if (wal_scrub_snapshot(&janitor->scrub, lsns.at[i]) == WAL_SCRUBBED_DAMAGE) {
            scrub_found(janitor, &janitor->scrub.damage);
        }
    }
    wal_listing_fini(&lsns);
}

/* Reads the snapshots, and so ends a pass that has read all segments. */
static void scrub_end(struct wal_janitor *janitor)
{
    scrub_snapshots(janitor);
    wal_scrub_fini(&janitor->scrub);
    janitor->scrub_next = 0;
    if (!janitor_is_stopped(janitor)) {
        pthread_mutex_lock(&janitor->told);
        janitor->damaged = janitor->scrub_found;
        pthread_mutex_unlock(&janitor->told);
        COUNT_ADD(janitor->scrub_passes, 1);
    }
}

/* Scrubs one segment, if a pass is due or under way. Returns whether there may be more to scrub. */
static bool scrub_next(struct wal_janitor *janitor)
{
    if (janitor->scrub_next == 0) {
        if (clock_mono_ns() < janitor->scrub_at_ns) {
            return false;
        }
        scrub_begin(janitor);
        return true;
    }
    janitor->bytes_per_s = janitor->options.scrub_bytes_per_s;
    if (janitor->scrub_next >= active_get(janitor)) {
        scrub_end(janitor);
        return true;
    }
    int result = wal_scrub_segment(&janitor->scrub, janitor->scrub_next);
    if (result == WAL_SCRUBBED_DAMAGE) {
        scrub_found(janitor, &janitor->scrub.damage);
    }
    janitor->scrub_next++;
    return true;
}

static uint64_t next_at_ns(const struct wal_janitor *janitor)
{
    bool again = janitor->failed_from != 0 || COUNT_GET(janitor->next) == 0;
    return again && janitor->retry_at_ns < janitor->scrub_at_ns ? janitor->retry_at_ns
                                                                : janitor->scrub_at_ns;
}

/* Lowers the thread's priority, so that commits come first. Where the system refuses, it stays. */
static void step_back(void)
{
    const struct sched_param param = {.sched_priority = 0};
    sched_setscheduler(0, SCHED_BATCH, &param);
    setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
}

static void *janitor_main(void *arg)
{
    struct wal_janitor *janitor = arg;
    step_back();
    while (!janitor_is_stopped(janitor)) {
        if (!pack_next(janitor) && !scrub_next(janitor)) {
            wait_until(janitor, next_at_ns(janitor));
        }
    }
    if (janitor->scrub_next != 0) {
        wal_scrub_fini(&janitor->scrub);
    }
    return NULL;
}

static void options_default(struct wal_janitor_options *options)
{
    if (options->pack_bytes_per_s == 0) {
        options->pack_bytes_per_s = PACK_BYTES_PER_S;
    }
    if (options->retry_ms == 0) {
        options->retry_ms = RETRY_MS;
    }
    if (options->scrub_bytes_per_s == 0) {
        options->scrub_bytes_per_s = SCRUB_BYTES_PER_S;
    }
    if (options->scrub_every_ms == 0) {
        options->scrub_every_ms = SCRUB_EVERY_MS;
    }
}

static void janitor_sync_fini(struct wal_janitor *janitor)
{
    sem_destroy(&janitor->wake);
    pthread_mutex_destroy(&janitor->told);
}

int wal_janitor_new(struct wal_janitor **out, struct wal_io *io,
                    const struct wal_janitor_options *options, pthread_mutex_t *files,
                    const _Atomic uint64_t *reserve, uint64_t active)
{
    struct wal_janitor *janitor = calloc(1, sizeof(*janitor));
    if (janitor == NULL) {
        return TALLY_NOMEM;
    }
    janitor->io = io;
    janitor->files = files;
    janitor->reserve = reserve;
    janitor->options = *options;
    options_default(&janitor->options);
    sem_init(&janitor->wake, 0, 0);
    pthread_mutex_init(&janitor->told, NULL);
    /* J5: the thread starts after this */
    atomic_init(&janitor->active, active);
    if (thread_start(&janitor->thread, janitor_main, janitor) != 0) {
        janitor_sync_fini(janitor);
        free(janitor);
        return TALLY_THREAD;
    }
    *out = janitor;
    return 0;
}

void wal_janitor_wake(struct wal_janitor *janitor, uint64_t active)
{
    /* J4: release; pairs with J3 */
    atomic_store_explicit(&janitor->active, active, memory_order_release);
    sem_post(&janitor->wake);
}

void wal_janitor_counts(const struct wal_janitor *janitor, struct wal_janitor_stats *stats)
{
    *stats = (struct wal_janitor_stats){
        .next = COUNT_GET(janitor->next),
        .packed_segments = COUNT_GET(janitor->packed_segments),
        .packed_from_bytes = COUNT_GET(janitor->packed_from_bytes),
        .packed_to_bytes = COUNT_GET(janitor->packed_to_bytes),
        .pack_failures = COUNT_GET(janitor->pack_failures),
        .scrub_passes = COUNT_GET(janitor->scrub_passes),
        .scrub_bytes = COUNT_GET(janitor->scrub_bytes),
    };
}

uint64_t wal_janitor_damage(struct wal_janitor *janitor, struct wal_report *report)
{
    pthread_mutex_lock(&janitor->told);
    uint64_t damaged = janitor->damaged;
    if (damaged > 0) {
        *report = janitor->damage;
    }
    pthread_mutex_unlock(&janitor->told);
    return damaged;
}

void wal_janitor_destroy(struct wal_janitor *janitor)
{
    /* J2: release; pairs with J1 */
    atomic_store_explicit(&janitor->stop, true, memory_order_release);
    sem_post(&janitor->wake);
    pthread_join(janitor->thread, NULL);
    janitor_sync_fini(janitor);
    free(janitor);
}
