/* Slices: a read looks at so many entities at a time, each time at one moment of the state. */
#ifndef TALLY_ENGINE_EDGE_SLICE_H
#define TALLY_ENGINE_EDGE_SLICE_H

#include "engine/read.h"
#include "engine/state/state.h"

/*
 * The first slice is made by the edge that asks, and mostly it is the whole read. What needs more
 * goes to the reader (engine/edge/reader.h), slice by slice. A slice takes less than 0.3 ms, so
 * that it may be made three times in a millisecond, and mostly fits between two blocks being
 * applied.
 *
 * `run` begins at read->next, looks at no more than READ_SLICE, adds rows by slice_row, and
 * returns 0 at the end, READ_MORE with read->next set, READ_BESIDE when slices would not do, or the
 * error to answer. It must bear a state that is being changed: what it made then is thrown away.
 */
enum { READ_SLICE = 512, READ_MORE = 3, READ_BESIDE = 4 };

/* Runs one slice. Returns false, and nothing has happened, when a block was applied meanwhile. */
bool slice_make(struct read *read, const struct state *state);

/* Lets go of rows that are surely not among those wanted. Between two slices. */
void slice_trim(struct read *read);

/* Ends the read: its rows in order, and no more than are wanted. */
void slice_end(struct read *read);

/* Frees the rows, and the texts with them. */
void slice_fini(struct read *read);

/* A zeroed row more, or a text that lives as long as the rows. NULL, or at NULL: no memory. */
void *slice_row(struct read *read);
struct span slice_text(struct read *read, struct span text);

/* The same for a parcel, which is held and not copied. */
struct span slice_parcel(struct read *read, struct parcel *parcel);

/* The votes of a poll in the last 60 s. */
uint64_t slice_poll_last_minute(const struct poll *poll, uint64_t log_ms);

#endif
