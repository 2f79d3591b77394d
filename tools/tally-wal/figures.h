/* The figures of a log: what `stat` counts while it reads. */
#ifndef TALLY_TOOLS_TALLY_WAL_FIGURES_H
#define TALLY_TOOLS_TALLY_WAL_FIGURES_H

#include "tools/tally-wal/inspector.h"
#include "tools/tally-wal/series.h"

#include <stdint.h>

enum { FILL_BINS = 10 };

/* The figures of some of the blocks. */
struct figures_blocks {
    uint64_t blocks;
    uint64_t records;
    uint64_t raw_bytes;
    uint64_t payload_bytes; /* the same, packed */
    uint64_t stored_bytes;  /* with heads and padding: whole pages */
};

struct figures {
    struct inspector *inspector; /* borrowed; has the counts by type and the state */
    struct figures_blocks all;   /* with records */
    struct figures_blocks pure;  /* of those, the ones with votes alone */
    uint64_t pure_votes;         /* votes in the pure blocks */
    uint64_t lz4_blocks;
    uint64_t mark_blocks; /* without records: seals and confirmations */
    uint64_t mark_bytes;
    uint64_t fill[FILL_BINS]; /* number of blocks by the filled part of their pages, in tenths */
    uint64_t segments;        /* that hold blocks */
    uint64_t sealed;
    uint64_t first_ms; /* of the first record; 0: none */
    uint64_t last_ms;
    struct series votes;

    /* of the present block */
    uint64_t block_votes;
    uint64_t block_others; /* records that are no votes */
    uint64_t segment;
};

/* The visitors, for struct inspector; arg is the figures. */
int figures_see(void *arg, const struct record *record, const struct apply_result *result);
int figures_see_block(void *arg, const struct wal_block *block);

/* a / b; 0 when b is 0. */
double figures_ratio(uint64_t a, uint64_t b);

/* Print the figures on standard output: as a table with pictures, or as one JSON object. */
void figures_print(const struct figures *figures);
void figures_print_json(const struct figures *figures);

#endif
