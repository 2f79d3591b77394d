/* One life of a log on a simulated disk, held against the model at every step. */
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
    uint64_t next_id; /* of a block */
    uint64_t opens;
    uint64_t loads;   /* of those, with a snapshot */
    uint64_t removed; /* segments that retention took */
    uint64_t packed;  /* segments that the janitor packed */
    bool has_janitor; /* from the next open on */
    bool is_inside;   /* in a call into the log */
    bool is_starved;  /* an allocation has been made to fail */
    uint64_t excuses; /* calls into the log that failed, and an injected fault was why */
    struct wal_report report;
    char wrong[400]; /* empty: nothing */
};

void run_init(struct run *run, uint64_t seed, enum fiber_order order);
void run_fini(struct run *run);

/* Closes the log that is open. Returns what wal_close does. */
int run_close(struct run *run, bool is_clean);

/* The process ends, without a word to the log: its calls have no effect any more. */
void run_stop(struct run *run);

/* Opens the log and does what the script says (explore.h). Returns false at the first thing that is
 * not right; run->wrong says what. */
bool run_script(struct run *run, const char *script);

/* Whether an injected fault may be why a call has failed like that. */
bool run_is_excused(const struct run *run, int err);

/* Says what is wrong, unless something was before. Returns false. */
__attribute__((format(printf, 2, 3))) bool run_wrong(struct run *run, const char *format, ...);

/* Its parts. */
bool run_open(struct run *run);
bool run_close_clean(struct run *run);
bool run_tear(struct run *run); /* the power goes while a block is written */
bool run_do(struct run *run, char op);

#endif
