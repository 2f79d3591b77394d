/* A table of ready request texts, so that a batch of a mix is a slice of it and is never copied. */
#ifndef TALLY_BENCH_MIX_H
#define TALLY_BENCH_MIX_H

#include <stddef.h>
#include <stdint.h>

#include "bench/proto.h"

struct mix {
    struct text text;
    uint32_t *start; /* byte at which request i starts; one more at the end */
    size_t count;    /* requests before the table repeats its beginning; owned here, as is start */
};

/* Fills the table for the stage: verbs by weight, ids in turn or at random, always the same. */
void mix_init(struct mix *m, const struct stage *stage);
void mix_fini(struct mix *m);

/* Finds the batch of `requests` that stands at `position`, and moves on. Returns its bytes, which
 * live as long as the table. */
const char *mix_next(const struct mix *m, size_t *position, unsigned requests, size_t *len_bytes);

#endif
