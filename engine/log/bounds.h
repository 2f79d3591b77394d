/* The bounds of records and images: one set for edge, apply and loads. */
#ifndef TALLY_ENGINE_LOG_BOUNDS_H
#define TALLY_ENGINE_LOG_BOUNDS_H

#include "engine/log/image.h"
#include "engine/log/record.h"
#include "engine/log/status.h"

#include <stdbool.h>

/*
 * Checksums are no secret, so a log or a snapshot may hold any bytes. Each record and image is
 * checked twice: alone in bounds.c, and against the state in apply.c and snapshot_load.c. The edge
 * asks bounds_record_error before it appends a request, so apply never refuses a synced record. A
 * loaded state has tokens, votes and times left for all changes that can follow.
 *
 * The bounds themselves: engine/limits.h.
 */

#define BOUNDS_ANY UINT64_MAX /* a number may be anything */

/* The form that a text of a record or an image must have. */
enum bounds_text {
    BOUNDS_TEXT_ANY,
    BOUNDS_TEXT_NAME,
    BOUNDS_TEXT_NAME_OR_NONE,
    BOUNDS_TEXT_LABEL,
    BOUNDS_TEXT_FOLD,
    BOUNDS_TEXT_TAGS,       /* as tags_sort leaves them */
    BOUNDS_TEXT_TITLE,      /* a worker's name for people */
    BOUNDS_TEXT_UNIQ,       /* as in SUBMIT */
    BOUNDS_TEXT_KEY,        /* of the request, or none */
    BOUNDS_TEXT_QUEUE_UNIQ, /* behind the queue's name and a '/' */
    BOUNDS_TEXT_BLOB,       /* a payload, result or error */
    BOUNDS_TEXT_SECONDS,    /* of a poll: engine/log/image.h */
    BOUNDS_TEXT_TREND,      /* of a count: engine/state/trend.h */
    BOUNDS_TEXT_NUMBERS,    /* of a reply: engine/log/image.h */
    BOUNDS_TEXT_VOTER,      /* or none */
    BOUNDS_TEXT_OPTIONS,    /* of a ballot: engine/log/ballot.h */
};

/* Returns what is wrong with a record or an image, in a few static words; NULL: it is within its
 * bounds. Not called for a VOTE without texts, of which apply checks more. */
const char *bounds_record_error(const struct record *record);
const char *bounds_image_error(const struct image *image);

/* Whether a build may have this state and token: tokens must be left for all steps that can follow.
 */
bool bounds_status_is_valid(uint32_t status);

/* Whether n votes in ms is a valid limit; n = 0 means no limit. */
bool bounds_rate_is_valid(uint64_t n, uint64_t ms);

#endif
