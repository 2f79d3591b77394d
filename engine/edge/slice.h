/* Slices: a read looks at 512 entities at a time, and each slice shows one moment of the state. */
#ifndef TALLY_ENGINE_EDGE_SLICE_H
#define TALLY_ENGINE_EDGE_SLICE_H

#include "engine/read.h"
#include "engine/state/state.h"

/*
 * The edge that asks makes the first slice, which mostly is the whole read. A read that needs more
 * slices goes to the reader (engine/edge/reader.h). A slice takes less than 0.3 ms, so it can be
 * tried three times in a millisecond, and it mostly fits between two blocks being applied.
 *
 * `run` begins at read->next, looks at no more than READ_SLICE, adds rows by slice_row, and
 * returns 0 at the end, READ_MORE with read->next set, READ_BESIDE when only the reader can make
 * the read, or the error to answer. It may meet a state that is being changed, and must not crash
 * then: the rows of such a slice are dropped. `settle` is called once, with the slice that returned
 * 0 and was whole; it may look at what that slice found, but for what only a cut shows.
 */
enum { READ_SLICE = 512, READ_MORE = 3, READ_BESIDE = 4 };

/* Runs one slice. Returns false when a block was applied meanwhile; its rows are dropped. */
bool slice_make(struct read *read, const struct state *state);

/* Drops rows that are surely not among the wanted ones. Between two slices. */
void slice_trim(struct read *read);

/* Ends the read: sorts its rows and keeps no more than are wanted. */
void slice_end(struct read *read);

/* Drops all rows and their texts; those that follow have another size. REQUIRES: no row has a
 * parcel. */
void slice_empty(struct read *read, size_t size);

/* Frees the rows, and the texts with them. */
void slice_fini(struct read *read);

/* Adds a zeroed row, or a text that lives as long as the rows. NULL, or at NULL: no memory. */
void *slice_row(struct read *read);
struct span slice_text(struct read *read, struct span text);

/* The same for a parcel, which is held and not copied. */
struct span slice_parcel(struct read *read, struct parcel *parcel);

/* Returns the votes of a poll in the last 60 s. */
uint64_t slice_poll_last_minute(const struct poll *poll, uint64_t log_ms);

#endif
