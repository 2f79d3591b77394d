/* One life of a log on a simulated disk, held against the model at every step. */
#ifndef TALLY_TESTS_CRASH_RUN_H
#define TALLY_TESTS_CRASH_RUN_H

#include "tests/crash/disk.h"
#include "tests/crash/fiber.h"
#include "tests/crash/model.h"
#include "wal/wal.h"

#include <stdbool.h>
#include <stdint.h>

struct run {
    struct disk disk;
    struct model model;
    struct wal *wal; /* NULL: not open */
    enum fiber_order order;
    struct seed seed;
    uint64_t next_id; /* of a block */
    uint64_t opens;
    uint64_t appends_refused; /* for a full disk or after a failed call */
    struct wal_report report;
    char wrong[400]; /* empty: nothing */
};

void run_init(struct run *run, uint64_t seed, enum fiber_order order);
void run_fini(struct run *run);

/* The process ends, without a word to the log: its calls have no effect any more. */
void run_stop(struct run *run);

/* Opens the log and does what the script says (explore.h). Returns false at the first thing that is
 * not right; run->wrong says what. */
bool run_script(struct run *run, const char *script);

/* Its parts. */
bool run_open(struct run *run);
bool run_do(struct run *run, char op);

#endif
