/* A progress bar on standard error, if that is a terminal. */
#ifndef TALLY_TOOLS_TALLY_WAL_PROGRESS_H
#define TALLY_TOOLS_TALLY_WAL_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    bool is_on;    /* standard error is a terminal */
    bool is_drawn; /* there is a bar to remove */
    const char *doing;
    uint64_t total_bytes;
    uint64_t next_ns; /* when to draw again; first after a second */
};

/* doing: one word for the work; borrowed. */
void progress_init(struct progress *progress, const char *doing, uint64_t total_bytes);

/* Sets how far the work is. Cheap: may be called for every block. */
void progress_at(struct progress *progress, uint64_t done_bytes);

/* Removes the bar. */
void progress_end(struct progress *progress);

/* The bar as text of at most `columns` characters. Returns its bytes. */
size_t progress_line(char *into, size_t room, unsigned columns, const struct progress *progress,
                     uint64_t done_bytes);

#endif
