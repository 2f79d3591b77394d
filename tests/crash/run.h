/* A run: one life of a log on a simulated disk, compared with the model at every step. */
#ifndef TALLY_TESTS_CRASH_RUN_H
#define TALLY_TESTS_CRASH_RUN_H

#include "tests/crash/disk.h"
#include "tests/crash/fiber.h"
#include "tests/crash/model.h"
#include "tests/crash/snaps.h"
#include "wal/wal.h"

#include <stdbool.h>
#include <stdint.h>

struct run {
    struct disk disk;
    struct model model;
    struct snaps snaps;
    struct wal *wal; /* NULL: not open */
    enum fiber_order order;
    struct seed seed;
    uint64_t next_id; /* of the next block */
    uint64_t opens;
    uint64_t loads;   /* of those, with a snapshot */
    uint64_t removed; /* segments that retention has removed */
    uint64_t packed;  /* segments that the janitor packed */
    bool has_janitor; /* from the next open on */
    bool is_inside;   /* a call into the log is under way */
    bool is_starved;  /* an allocation has been made to fail */
    uint64_t excuses; /* calls into the log that failed because of an injected fault */
    struct wal_report report;
    char wrong[400]; /* the first fault; empty: none */
};

void run_init(struct run *run, uint64_t seed, enum fiber_order order);
void run_fini(struct run *run);

/* Closes the log that is open. Returns what wal_close does. */
int run_close(struct run *run, bool is_clean);

/* Kills the process: later calls of the log have no effect. */
void run_stop(struct run *run);

/* Opens the log and runs the script (explore.h). Returns false at the first fault, which run->wrong
 * tells. */
bool run_script(struct run *run, const char *script);

/* Whether an injected fault may be the cause of that failure. */
bool run_is_excused(const struct run *run, int err);

/* Notes a fault, if it is the first. Returns false. */
__attribute__((format(printf, 2, 3))) bool run_wrong(struct run *run, const char *format, ...);

/* Its parts. */
bool run_open(struct run *run);
bool run_close_clean(struct run *run);
bool run_tear(struct run *run); /* the power fails while a block is written */
bool run_do(struct run *run, char op);

#endif
