/* Reading a log beside its writer: once, or again and again from where the last call stopped. */
#ifndef TALLY_WAL_READ_READER_H
#define TALLY_WAL_READ_READER_H

#include "wal/disk/io.h"
#include "wal/types.h"

#include <stdbool.h>

/*
 * Reads the log once, as a recovery does, but takes no lock and works beside a writer: it visits
 * the valid blocks in order and says in report how the log ends. It changes nothing, prints
 * nothing, never exits. On a live log the end may be a torn tail: the block that is being written.
 * Blocks at the end may not be synced yet.
 * Errors: TALLY_IO; TALLY_DAMAGE; TALLY_NEWER; TALLY_NOMEM; TALLY_MISSED: retention has removed
 * records before they were read; what visit returned. report is filled in every case. A torn tail
 * is no error. Threads: any; may block for long.
 */
int wal_reader_once(struct wal_io *io, wal_visit_fn visit, void *arg, struct wal_report *report);

/*
 * A reader that keeps its place between two calls. Owns: io is borrowed and outlives
 * the reader; *out is the caller's. Errors: TALLY_NOMEM. Threads: one at a time.
 */
struct wal_reader;
int wal_reader_new(struct wal_reader **out, struct wal_io *io, wal_visit_fn visit, void *arg);
void wal_reader_destroy(struct wal_reader *reader);

/* Visits the blocks since the last call and says how the log ends now. Errors: as wal_reader_once.
 */
int wal_reader_judge(struct wal_reader *reader, struct wal_report *report);

/*
 * Visits the blocks since the last call and judges nothing: cheap enough for every wake. *is_blank:
 * nothing is written behind the last block yet; otherwise the bytes there are no valid block, and
 * only wal_reader_judge tells what they are. Errors: TALLY_NOMEM; what visit returned.
 */
int wal_reader_more(struct wal_reader *reader, bool *is_blank);

#endif
