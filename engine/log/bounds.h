/* What a record or an image can say at all: one set of bounds for edge, apply and loads. */
#ifndef TALLY_ENGINE_LOG_BOUNDS_H
#define TALLY_ENGINE_LOG_BOUNDS_H

#include "engine/log/image.h"
#include "engine/log/record.h"
#include "engine/log/status.h"

#include <stdbool.h>

/*
 * Checksums are no secret, so a log or a snapshot may say anything. What it says is looked at
 * twice: here by itself, and against the state in apply.c and snapshot_load.c. The edge asks
 * bounds_record_error before it appends a request, so apply never refuses what was synced; and what
 * a load has accepted leaves room for all that can come.
 *
 * The bounds themselves: engine/limits.h.
 */

#define BOUNDS_ANY UINT64_MAX /* a number may be anything */

/* What a text of a record or an image has to be. */
enum bounds_text {
    BOUNDS_TEXT_ANY,
    BOUNDS_TEXT_NAME,
    BOUNDS_TEXT_NAME_OR_NONE,
    BOUNDS_TEXT_LABEL,
    BOUNDS_TEXT_FOLD,
    BOUNDS_TEXT_TAGS,       /* as tags_sort leaves them */
    BOUNDS_TEXT_TITLE,      /* a worker's name for people */
    BOUNDS_TEXT_UNIQ,       /* as SUBMIT says it */
    BOUNDS_TEXT_QUEUE_UNIQ, /* behind the queue's name and a '/' */
    BOUNDS_TEXT_BLOB,       /* a payload, result or error */
    BOUNDS_TEXT_SECONDS,    /* of a poll: engine/log/image.h */
};

/* What is wrong with a record or an image, in a few static words; NULL: nothing that it tells by
 * itself. Not asked of a plain VOTE, of which apply checks more. */
const char *bounds_record_error(const struct record *record);
const char *bounds_image_error(const struct image *image);

/* Whether a build's state and token can be: it leaves tokens for what may still happen to it. */
bool bounds_status_is_valid(uint32_t status);

/* Whether a limit of n votes in ms can be; n = 0 is no limit. */
bool bounds_rate_is_valid(uint64_t n, uint64_t ms);

#endif
