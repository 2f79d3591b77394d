/* Reading a log record by record, with the state as far as it has come: what all commands share. */
#ifndef TALLY_TOOLS_TALLY_WAL_INSPECTOR_H
#define TALLY_TOOLS_TALLY_WAL_INSPECTOR_H

#include "engine/apply/apply.h"
#include "tools/tally-wal/exit.h"
#include "tools/tally-wal/progress.h"
#include "wal/wal.h"

#include <stdbool.h>
#include <stdint.h>

/* What a visitor returns that has seen enough: the reading ends well. */
enum { INSPECT_ENOUGH = -10000 };

/* What the inspector's own visitor returns at the first block when the log has lost its beginning
 * since the inspector looked for it: nothing was seen, and inspector_restart is to be called. */
enum { INSPECT_AGAIN = -10001 };

struct inspector {
    /* the command's; each may be NULL; they return 0, INSPECT_ENOUGH or an error of enum tally_err
     */
    int (*see)(void *arg, const struct record *record, const struct apply_result *result);
    int (*see_block)(void *arg, const struct wal_block *block); /* behind its records */
    void *arg;

    struct state state;    /* with the record applied that is being seen */
    uint64_t first_lsn;    /* of the first record that is there; 1: nothing is gone */
    uint64_t snapshot_lsn; /* of the snapshot it began with; 0: none */
    uint64_t snapshot_ms;  /* and its time */
    uint64_t last_ms;      /* of the record before, among those that the snapshot has */
    struct wal_io *io;
    struct progress progress;
    struct wal_report report;
    uint64_t by_type[RECORD_TYPES];
    uint64_t segment_files;
    uint64_t segment_bytes; /* of all their files */
    uint64_t seen_bytes;
    bool has_begun;    /* a block was seen */
    uint64_t lost_lsn; /* the first record that is there, when nothing holds those before it */
    uint64_t bad_lsn;  /* the record that contradicts what is before it; 0: none */
    const char *bad_type;
};

/* Opens the directory. Returns NULL, having said why. */
struct inspector *inspector_new(const char *dir, const char *doing);
void inspector_destroy(struct inspector *inspector);

/* The visitor of blocks, for wal_reader_once and its like; arg is the inspector. */
int inspector_see_block(void *arg, const struct wal_block *block);

/* Looks for the beginning once more. Returns 0 or TALLY_NOMEM. */
int inspector_restart(struct inspector *inspector);

/* wal_reader_once, begun anew as often as it takes. */
int inspector_run(struct inspector *inspector);

/*
 * Ends a reading that returned err: takes the bar away, flushes what was printed, says on standard
 * error how the log ends where that is worth a word. Returns the exit code.
 */
int inspector_end(struct inspector *inspector, int err);

/* inspector_run and inspector_end. */
int inspector_read(struct inspector *inspector);

/* The exit code alone. */
int inspector_code(const struct inspector *inspector, int err);

/* What is wrong, or how the log ends, in one sentence. Good until the inspector is destroyed. */
const char *inspector_text(struct inspector *inspector, int err);

#endif
