/* The inspector, which all commands use: reads a log record by record and keeps the state. */
#ifndef TALLY_TOOLS_TALLY_WAL_INSPECTOR_H
#define TALLY_TOOLS_TALLY_WAL_INSPECTOR_H

#include "engine/apply/apply.h"
#include "tools/tally-wal/exit.h"
#include "tools/tally-wal/progress.h"
#include "wal/wal.h"

#include <stdbool.h>
#include <stdint.h>

/* Returned by a visitor that needs no more records: the reading ends without an error. */
enum { INSPECT_ENOUGH = -10000 };

/* Returned by the inspector's own visitor at the first block when retention has removed the log's
 * beginning since the inspector looked for it: no record was shown, call inspector_restart. */
enum { INSPECT_AGAIN = -10001 };

struct inspector {
    /* the command's visitors; each may be NULL, and returns 0, INSPECT_ENOUGH or an error of enum
     * tally_err */
    int (*see)(void *arg, const struct record *record, const struct apply_result *result);
    int (*see_block)(void *arg, const struct wal_block *block); /* after its records */
    void *arg;

    struct state state;    /* with the present record applied */
    uint64_t first_lsn;    /* of the first record in the log; 1: no record is gone */
    uint64_t snapshot_lsn; /* of the snapshot that was loaded; 0: none */
    uint64_t snapshot_ms;  /* and its time */
    uint64_t last_ms;      /* of the record before, among those that the snapshot has */
    struct wal_io *io;
    struct progress progress;
    struct wal_report report;
    uint64_t by_type[RECORD_TYPES];
    uint64_t segment_files;
    uint64_t segment_bytes; /* of all segments' files */
    uint64_t seen_bytes;
    bool has_begun;    /* a block was seen */
    uint64_t lost_lsn; /* the first record in the log, when no snapshot holds those before it */
    struct apply_result result; /* of the record that is seen */
    uint64_t bad_lsn;  /* the record that contradicts the state before it; 0: none */
    const char *bad_type;
};

/* Opens the directory. Returns NULL after an error, which it has printed. */
struct inspector *inspector_new(const char *dir, const char *doing);
void inspector_destroy(struct inspector *inspector);

/* The visitor of blocks, for wal_reader_once and its like; arg is the inspector. */
int inspector_see_block(void *arg, const struct wal_block *block);

/* Looks for the beginning once more. Returns 0 or TALLY_NOMEM. */
int inspector_restart(struct inspector *inspector);

/* Runs wal_reader_once, and again whenever it returns INSPECT_AGAIN. */
int inspector_run(struct inspector *inspector);

/*
 * Ends a reading that returned err: removes the bar, flushes standard output, and prints
 * inspector_text, if there is any, on standard error. Returns the exit code.
 */
int inspector_end(struct inspector *inspector, int err);

/* inspector_run and inspector_end. */
int inspector_read(struct inspector *inspector);

/* Returns the exit code alone. */
int inspector_code(const struct inspector *inspector, int err);

/* The error, or the end of the log, in one sentence. Lives until the inspector is destroyed. */
const char *inspector_text(struct inspector *inspector, int err);

#endif
