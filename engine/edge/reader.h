/* The reader: one thread beside the others, which makes the reads that take longer than a slice. */
#ifndef TALLY_ENGINE_EDGE_READER_H
#define TALLY_ENGINE_EDGE_READER_H

#include "engine/read.h"

/*
 *     edges ── asked ──▶ reader ── slice, slice, ... ──▶ READ_DONE, wake ──▶ the edge that asked
 *                          │  ▲
 *                   attach │  │ feeds of the polls that are ranked (engine/state/feed.h)
 *                          ▼  │
 *                        committer
 *
 * Synchronization table
 *   asked           a stack: pushed by edges (R1), taken whole by the reader (R2)
 *   a read          the edge's until it is pushed, the reader's until READ_DONE (R3, R4); only
 *                   `unwanted` is written by the edge meanwhile
 *   attach, detach  one feed at a time: put by the reader (R5), done and cleared by the committer
 *                   between two blocks (R6); poll->feed is the committer's alone
 *   reads_open      of an edge: so many wakes are still to come (R7, R8)
 * Only the edge that asked waits for the reader. The reader waits for the committer only while a
 * feed is attached or detached, which the committer does even while the disk is full.
 * Reclamation: a read is its edge's; ranks and feeds are the reader's.
 */
struct reader;
struct shared;

/* Starts the thread. Errors: NOMEM, THREAD. */
int reader_new(struct reader **out, struct shared *shared);

/* Ends the thread. REQUIRES: no read is open; the committer runs. */
void reader_stop(struct reader *reader);

/* Frees the reader; NULL is allowed. REQUIRES: it is stopped, or its committer never ran. */
void reader_free(struct reader *reader);

/* Queues a read; when it is done, read_is_done returns true and the edge is woken. Threads: the
 * edge's. */
void reader_ask(struct reader *reader, struct edge *edge, struct read *read);

/* Attaches and detaches feeds. Threads: the committer, between two blocks. */
void reader_serve(struct reader *reader);

/* Makes a TALLY, or the beginning of a TREND, from a rank. Threads: the reader. */
int reader_tally(struct reader *reader, struct read *read);

/* Makes EVENTS from the store. Threads: the reader. */
int reader_events(struct reader *reader, struct read *read);

/* ... from what was taken of the events so far: the part of the above beside the thread. */
int reader_find_events(const struct shared *shared, struct read *read);

/* Wakes the reader, for there are events to take. Threads: the committer. */
void reader_wake(struct reader *reader);

#endif
