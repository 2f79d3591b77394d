/* The janitor: the background thread that packs sealed segments. */
#include "wal/janitor.h"

#include "wal/base/clock.h"
#include "wal/base/err.h"
#include "wal/pack.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PACK_BYTES_PER_S ((uint64_t)32 << 20)
#define RETRY_MS         30000U
#define NS_PER_MS        1000000ULL
#define NS_PER_S         1000000000ULL
#define NEVER            UINT64_MAX

/* A debt of less than this is not worth a wait; it is carried on. */
#define DEBT_NS_MIN      NS_PER_MS

struct wal_janitor {
    /* set once, before the thread starts */
    struct wal_io *io;
    pthread_mutex_t *files;
    struct wal_janitor_options options;
    pthread_t thread;

    /* written by others, read by the janitor; posted after each change */
    sem_t wake;
    _Atomic uint64_t active; /* the number of the segment that is written */
    atomic_bool stop;

    /* the janitor's */
    uint64_t failed_from; /* the lowest segment that is to be tried again; 0: none */
    uint64_t retry_at_ns;
    uint64_t free_at_ns; /* when the bytes handled so far are paid for */

    /* written by the janitor, read by anybody */
    _Atomic uint64_t next; /* the segment to be packed next; 0: not known yet */
    _Atomic uint64_t packed_segments, packed_from_bytes, packed_to_bytes, pack_failures;
};

/* C1: relaxed: counts publish nothing */
#define COUNT_GET(field)    atomic_load_explicit(&(field), memory_order_relaxed)
/* C2: relaxed: as C1; the janitor alone writes them */
#define COUNT_ADD(field, n) atomic_fetch_add_explicit(&(field), (n), memory_order_relaxed)
/* C3: relaxed: as C1 */
#define COUNT_SET(field, n) atomic_store_explicit(&(field), (n), memory_order_relaxed)

static bool is_stopped(struct wal_janitor *janitor)
{
    /* J1: acquire; pairs with J2 */
    return atomic_load_explicit(&janitor->stop, memory_order_acquire);
}

static uint64_t active_get(struct wal_janitor *janitor)
{
    /* J3: acquire; pairs with J4 and J5: what is below was sealed before */
    return atomic_load_explicit(&janitor->active, memory_order_acquire);
}

/* Waits until then, or until somebody posts. */
static void wait_until(struct wal_janitor *janitor, uint64_t until_ns)
{
    const struct timespec until = {
        .tv_sec = (time_t)(until_ns / NS_PER_S),
        .tv_nsec = (long)(until_ns % NS_PER_S),
    };
    if (until_ns == NEVER) {
        sem_wait(&janitor->wake);
    } else {
        sem_clockwait(&janitor->wake, CLOCK_MONOTONIC, &until);
    }
}

/* Pays for so many bytes with time. Whoever posts meanwhile is looked at later. */
static int pace(void *arg, size_t bytes)
{
    struct wal_janitor *janitor = arg;
    uint64_t now_ns = clock_mono_ns();
    if (janitor->free_at_ns < now_ns) {
        janitor->free_at_ns = now_ns;
    }
    janitor->free_at_ns += bytes * NS_PER_S / janitor->options.pack_bytes_per_s;
    while (!is_stopped(janitor) && janitor->free_at_ns > clock_mono_ns() + DEBT_NS_MIN) {
        wait_until(janitor, janitor->free_at_ns);
    }
    return is_stopped(janitor) ? -ECANCELED : 0;
}

/* A try that failed. What comes behind it is not kept waiting. */
static void fail(struct wal_janitor *janitor, uint64_t number)
{
    COUNT_ADD(janitor->pack_failures, 1);
    if (janitor->failed_from == 0 || number < janitor->failed_from) {
        janitor->failed_from = number;
    }
    janitor->retry_at_ns = clock_mono_ns() + janitor->options.retry_ms * NS_PER_MS;
}

static void pack(struct wal_janitor *janitor, uint64_t number)
{
    struct wal_pack pack = {
        .io = janitor->io,
        .number = number,
        .replaces = janitor->files,
        .pace = pace,
        .arg = janitor,
    };
    int err = wal_pack_run(&pack);
    if (err == WAL_PACKED) {
        COUNT_ADD(janitor->packed_from_bytes, pack.from_bytes);
        COUNT_ADD(janitor->packed_to_bytes, pack.to_bytes);
        COUNT_ADD(janitor->packed_segments, 1);
    } else if (err < 0 && err != -ENOENT && err != -ECANCELED) {
        fail(janitor, number);
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

/* Finds the oldest segment. Returns whether it did. */
static bool find_first(struct wal_janitor *janitor)
{
    uint64_t lowest = active_get(janitor);
    int err = janitor->io->ops->list(janitor->io, number_min, &lowest);
    if (err != 0) {
        fail(janitor, 0);
        return false;
    }
    COUNT_SET(janitor->next, lowest);
    return true;
}

/* Packs one segment, if there is one to pack. Returns whether there may be more to do. */
static bool pack_next(struct wal_janitor *janitor)
{
    uint64_t next = COUNT_GET(janitor->next);
    if (next == 0) {
        return clock_mono_ns() >= janitor->retry_at_ns && find_first(janitor);
    }
    if (next < active_get(janitor)) {
        pack(janitor, next);
        if (!is_stopped(janitor)) {
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

static uint64_t next_at_ns(const struct wal_janitor *janitor)
{
    bool again = janitor->failed_from != 0 || COUNT_GET(janitor->next) == 0;
    return again ? janitor->retry_at_ns : NEVER;
}

/* Whoever commits comes first. A refusal costs nothing but that. */
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
    while (!is_stopped(janitor)) {
        if (!pack_next(janitor)) {
            wait_until(janitor, next_at_ns(janitor));
        }
    }
    return NULL;
}

/* It takes no signals: they belong to the program's own threads. */
static int thread_start(struct wal_janitor *janitor)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&janitor->thread, NULL, janitor_main, janitor);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

int wal_janitor_new(struct wal_janitor **out, struct wal_io *io,
                    const struct wal_janitor_options *options, pthread_mutex_t *files,
                    uint64_t active)
{
    struct wal_janitor *janitor = calloc(1, sizeof(*janitor));
    if (janitor == NULL) {
        return TALLY_NOMEM;
    }
    janitor->io = io;
    janitor->files = files;
    janitor->options = *options;
    if (janitor->options.pack_bytes_per_s == 0) {
        janitor->options.pack_bytes_per_s = PACK_BYTES_PER_S;
    }
    if (janitor->options.retry_ms == 0) {
        janitor->options.retry_ms = RETRY_MS;
    }
    sem_init(&janitor->wake, 0, 0);
    /* J5: the thread starts after it */
    atomic_init(&janitor->active, active);
    if (thread_start(janitor) != 0) {
        sem_destroy(&janitor->wake);
        free(janitor);
        return TALLY_NOMEM;
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

void wal_janitor_tell(const struct wal_janitor *janitor, struct wal_janitor_stats *stats)
{
    *stats = (struct wal_janitor_stats){
        .next = COUNT_GET(janitor->next),
        .packed_segments = COUNT_GET(janitor->packed_segments),
        .packed_from_bytes = COUNT_GET(janitor->packed_from_bytes),
        .packed_to_bytes = COUNT_GET(janitor->packed_to_bytes),
        .pack_failures = COUNT_GET(janitor->pack_failures),
    };
}

void wal_janitor_destroy(struct wal_janitor *janitor)
{
    /* J2: release; pairs with J1 */
    atomic_store_explicit(&janitor->stop, true, memory_order_release);
    sem_post(&janitor->wake);
    pthread_join(janitor->thread, NULL);
    sem_destroy(&janitor->wake);
    free(janitor);
}
