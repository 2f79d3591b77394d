/* The label index: finds similar labels by the beginnings of their words, in polls of any size. */
#ifndef TALLY_ENGINE_STATE_LABEL_INDEX_H
#define TALLY_ENGINE_STATE_LABEL_INDEX_H

#include "engine/state/state.h"

/*
 *     state.beginnings (by poll and beginning) ── beginning ── entry ── entry ── ...   newest first
 *                                                               └ option  └ option
 *
 * The beginning of a word is the characters that begin within its first three bytes; words are cut
 * out of the folded label at every ASCII character that is no letter and no digit. A label without
 * words is one word. Made from the labels by apply, so it is in no log and no snapshot.
 *
 * Synchronization: added to by apply alone; read by any thread inside a read section. An entry is
 * whole before it is first (A1 pairs with A2) and never changes. Reclamation: with the state.
 */

enum { ALIKE_MAX = 8 }; /* label_index_find finds no more */

/* Makes an empty index. Errors: NOMEM. */
int label_index_init(struct state *state);

/* Adds a new option's label. Errors: NOMEM. */
int label_index_add(struct state *state, struct option *option);

/*
 * Finds up to `max` options of the poll whose labels are similar to a folded label: the same label
 * first, then by how much they share. Looks at no more than 512 labels, the newest of each
 * beginning. Returns how many; NOMEM. Threads: any.
 */
int label_index_find(const struct state *state, struct span poll, struct span fold,
                     const struct option **found, int max);

void label_index_fini(struct state *state);

#endif
