/* A long reply, made piece by piece as its client takes it. */
#ifndef TALLY_NET_PIPELINE_READING_H
#define TALLY_NET_PIPELINE_READING_H

#include "net/protocol/reply.h"

#include <stdbool.h>
#include <stddef.h>

struct read;

/*
 * A reply made of rows or of a blob, piece by piece as the client takes it; embedded first in a
 * typed one.
 */
struct reading {
    struct read *read;                                            /* NULL: it needs none */
    bool (*format)(struct reading *reading, struct reply *reply); /* a piece; true: the last one */
    void (*destroy)(struct reading *reading);
    bool has_begun;
    size_t told; /* rows or bytes */
    size_t held; /* bytes that it keeps in memory; its rows are counted elsewhere */
};

/* True once, at the first piece: then format writes the line before the rows. */
static inline bool reading_begins(struct reading *reading)
{
    bool begins = !reading->has_begun;
    reading->has_begun = true;
    return begins;
}

/* Writes rows until the piece is full. Returns true when all `count` rows are written. */
bool reading_rows(struct reading *reading, struct reply *reply, size_t count,
                  void (*put)(const struct reading *reading, size_t row, struct reply *reply));

#endif
