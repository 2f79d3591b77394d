/* What a record or an image can say at all: one set of bounds for edge, apply and loads. */
#ifndef TALLY_ENGINE_LOG_BOUNDS_H
#define TALLY_ENGINE_LOG_BOUNDS_H

#include "engine/log/image.h"
#include "engine/log/record.h"

#include <stdbool.h>

/*
 * Checksums are no secret, so a log or a snapshot may say anything. What it says is looked at
 * twice: here by itself, and against the state in apply.c and snapshot_load.c. The edge asks
 * bounds_record_error before it appends a request, so apply never refuses what was synced; and what
 * a load has accepted leaves room for all that can come.
 *
 * The bounds are at least those of the requests (net/), which may be narrowed at any time; these
 * may only be widened, or old logs would be refused.
 */
#define SOUND_TIME_MS_MAX  ((uint64_t)1 << 53)
#define SOUND_DELAY_MS_MAX ((uint64_t)30 * 24 * 3600 * 1000)
#define SOUND_LEASE_MS_MAX ((uint64_t)24 * 3600 * 1000)
/* of one option and of all together; a vote is refused from 2^39 on, so nobody comes here */
#define SOUND_COUNT_MAX    ((uint64_t)1 << 62)

enum {
    SOUND_TRIES_MAX = 1000,
    /* Of a build that is held; one that is offered has fewer. A live build comes no further than
     * its tries: beyond them it fails. */
    SOUND_ATTEMPTS_MAX = 30000,
    SOUND_TITLE_BYTES_MAX = 256,
    /* a payload, result or error; three of them and more fit an image, and that a block */
    SOUND_TEXT_BYTES_MAX = 4 << 20,
    SOUND_FOLD_BYTES_MAX = 4096,
};

/* What is wrong with it, a few static words; NULL: nothing, as far as it alone can tell. Of a plain
 * VOTE apply knows more, and this is not asked. */
const char *bounds_record_error(const struct record *record);
const char *bounds_image_error(const struct image *image);

/* Whether a build's state and token can be: it leaves tokens for what may still happen to it. */
bool bounds_status_is_valid(uint32_t status);

#endif
