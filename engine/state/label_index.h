/* The label index: finds labels by the beginnings of their words, in polls of any size. */
#ifndef TALLY_ENGINE_STATE_LABEL_INDEX_H
#define TALLY_ENGINE_STATE_LABEL_INDEX_H

#include "engine/base/label_match.h"
#include "engine/state/state.h"

/*
 *     state.beginnings (poll id and beginning) ── beginning ── entry ── entry ── ...  oldest first
 *        "1/e"  is split: it has its first       │           └ option, place of the word
 *        "1/el" entries only                     `─ is_split
 *        "1/ela" ...
 *
 * For each of the first 8 words of a folded label there is an entry: the label from that word on.
 * It is in the list of its beginning of one character. When that list is full, it is split: each of
 * its entries is put into the list of its beginning of two characters, too, and from then on
 * entries go there. And so on. So the list of a beginning that is not split has all labels with a
 * word that begins so, and is short; one that is split has the oldest of them. In both cases a
 * short list tells what a text begins, however many labels there are.
 *
 * A split copies a list; an option splits one list at most, so that no option takes long. Until it
 * is split by a later option a list may be somewhat longer than a full one.
 *
 * Made from the labels by apply, so it is in no log and no snapshot.
 *
 * Synchronization: added to by apply alone; read by any thread inside a read section. An entry is
 * whole before it is linked (A1 pairs with A2), and only its own link changes, once. A list is
 * split after its entries are in the longer lists (A3 pairs with A4), and stays split. Reclamation:
 * the lists of a poll that is deleted, which nobody can find any more, are taken out a few at a
 * time and retired, each with its entries; then its options may go.
 */

enum { ALIKE_MAX = 5 }; /* label_index_find finds no more */

/* Makes an empty index. Errors: NOMEM. */
int label_index_init(struct state *state);

/* Adds a new option's label. Errors: NOMEM. */
int label_index_add(struct state *state, struct option *option);

/*
 * Finds the options of a poll whose labels fit a folded text best (engine/base/label_match.h), of
 * equal ones the older, in no way below `least`; where that is LABEL_MATCH_CLOSE, typing errors
 * are looked for only if there is nothing better. Of a poll with 512 options or fewer it looks at
 * all; else at those with a word that begins like the text or a word of it, 640 at most.
 * Returns how many; NOMEM. Threads: any; takes less than 1 ms.
 */
int label_index_find(const struct state *state, const struct poll *poll, struct span fold,
                     enum label_match_way least, const struct option *found[ALIKE_MAX]);

/* Takes lists of a deleted poll out, at most so many. Returns whether none is left. Threads: the
 * committer. */
bool label_index_drop(struct state *state, struct poll *poll, uint64_t beginnings_max);

void label_index_fini(struct state *state);

#endif
