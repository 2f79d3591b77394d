/* Forged states and histories: any images become a snapshot, any records a log. */
#ifndef TALLY_TESTS_HOSTILE_FORGE_STATE_H
#define TALLY_TESTS_HOSTILE_FORGE_STATE_H

#include "engine/log/image.h"
#include "engine/log/record.h"
#include "tests/hostile/forge.h"

enum { FORGE_IMAGES_MAX = 24, FORGE_RECORDS_MAX = 32, FORGE_LSN = 40 };
#define FORGE_MS ((uint64_t)1764000000000)

struct forge_images {
    size_t count;
    struct image at[FORGE_IMAGES_MAX];
};

/* The indexes of the images in the valid state. */
enum {
    FORGED_HEAD,
    FORGED_POLL,
    FORGED_OPTION,
    FORGED_OPTION_2,
    FORGED_QUEUE,
    FORGED_WORKER,
    FORGED_PENDING,
    FORGED_HELD,
    FORGED_DELAYED,
    FORGED_ENDED,
    FORGED_KEY,
    FORGED_KEY_2,
    FORGED_VOTER,
    FORGED_VOTER_2,
    FORGED_END
};

/* Makes the valid state: a poll with two options, a queue of two need sets, a worker that holds one
 * build, one more build of each kind, two keys, and two voters. */
void forge_images(struct forge_images *images);

/* Writes the snapshot of record FORGE_LSN, and an empty log behind it. The number in END is
 * corrected unless it is 0. */
void forge_saved(const char *dir, const struct forge_images *images);

struct forge_records {
    size_t count;
    struct record at[FORGE_RECORDS_MAX];
};

/* Makes a history of about the same state, with every type of record. */
void forge_records(struct forge_records *records);

/* Writes the history as a log in one segment, each record in a block of its own, a second apart. */
void forge_logged(const char *dir, const struct forge_records *records);

#endif
