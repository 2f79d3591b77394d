/* tally-wal stat: prints figures of a log: its records, blocks, segments and votes over time. */
#include "tools/tally-wal/commands.h"
#include "tools/tally-wal/figures.h"
#include "wal/format/block.h"

#include <stdio.h>
#include <stdlib.h>

double figures_ratio(uint64_t a, uint64_t b)
{
    return b == 0 ? 0 : (double)a / (double)b;
}

int figures_see(void *arg, const struct record *record, const struct apply_result *result)
{
    struct figures *figures = arg;
    (void)result;
    if (figures->first_ms == 0) {
        figures->first_ms = record->time_ms;
    }
    figures->last_ms = record->time_ms;
    if (record->type == RECORD_VOTE) {
        figures->block_votes += record->num[VOTE_N];
        series_add(&figures->votes, record->time_ms, record->num[VOTE_N]);
    } else {
        figures->block_others++;
    }
    return 0;
}

static void add_block(struct figures_blocks *sum, const struct wal_block *block)
{
    sum->blocks++;
    sum->records += block->count;
    sum->raw_bytes += block->raw_bytes;
    sum->payload_bytes += block->payload_bytes;
    sum->stored_bytes += block->stored_bytes;
}

int figures_see_block(void *arg, const struct wal_block *block)
{
    struct figures *figures = arg;
    if (block->segment != figures->segment) {
        figures->segment = block->segment;
        figures->segments++;
    }
    figures->sealed += (block->flags & WAL_BLOCK_SEAL) != 0;
    if (block->count == 0) {
        figures->mark_blocks++;
        figures->mark_bytes += block->stored_bytes;
        return 0;
    }
    if (block->member == 0 && block->stored_bytes > 0) {
        uint64_t filled = block->payload_bytes + WAL_BLOCK_HEADER_BYTES;
        uint64_t tenth = filled * FILL_BINS / block->stored_bytes;
        figures->fill[tenth < FILL_BINS ? tenth : FILL_BINS - 1]++;
    }
    figures->lz4_blocks += block->payload_bytes < block->raw_bytes;
    add_block(&figures->all, block);
    if (figures->block_others == 0) {
        add_block(&figures->pure, block);
        figures->pure_votes += figures->block_votes;
    }
    figures->block_votes = 0;
    figures->block_others = 0;
    return 0;
}

int command_stat(const struct settings *settings)
{
    struct inspector *inspector = inspector_new(settings->dir, "reading");
    struct figures *figures = calloc(1, sizeof *figures);
    if (inspector == NULL || figures == NULL) {
        free(figures);
        if (inspector != NULL) {
            inspector_destroy(inspector);
        }
        return EXIT_UNREADABLE;
    }
    figures->inspector = inspector;
    inspector->see = figures_see;
    inspector->see_block = figures_see_block;
    inspector->arg = figures;
    int err = inspector_run(inspector);
    progress_end(&inspector->progress);
    if (err == 0 && settings->is_json) {
        figures_print_json(figures);
    } else if (err == 0 && inspector_code(inspector, err) != EXIT_MISSING) {
        figures_print(figures);
    }
    int code = inspector_end(inspector, err);
    inspector_destroy(inspector);
    free(figures);
    return code;
}
