/* Makes the image of a committed entity, for snapshots and for the digest. */
#ifndef TALLY_ENGINE_APPLY_SNAPSHOT_IMAGE_H
#define TALLY_ENGINE_APPLY_SNAPSHOT_IMAGE_H

#include "engine/log/image.h"
#include "engine/state/state.h"
#include "wal/base/bytes.h"

/* Room for the texts of an image that do not stand in its entity. */
struct snapshot_texts {
    unsigned char seconds[POLL_SECONDS * 3 * VARINT_BYTES_MAX];
    unsigned char trend[TREND_TEXT_MAX];
    unsigned char resets[TREND_TEXT_MAX];
    unsigned char numbers[BALLOT_OPTIONS_MAX * 2 * VARINT_BYTES_MAX];
};

/* The most bytes that the further places of a ballot take. */
enum { SNAPSHOT_MORE_BYTES = (BALLOT_OPTIONS_MAX - 1) * VARINT_BYTES_MAX };

/*
 * Each function fills the image from the entity. The texts point into the entity, and those of a
 * poll, an option or a key also into `into`, those of a voter into `more`. A queue's image lacks
 * the tags of its need sets, which the capture joins to one text. Threads: the committer, or the
 * only one.
 */
void snapshot_image_head(struct image *image, const struct state *from);
void snapshot_image_poll(struct image *image, const struct poll *from, struct snapshot_texts *into);
void snapshot_image_option(struct image *image, const struct option *from,
                           struct snapshot_texts *into);
void snapshot_image_voter(struct image *image, uint64_t poll_id, const struct voters_view *from,
                          unsigned char more[SNAPSHOT_MORE_BYTES]);
void snapshot_image_queue(struct image *image, const struct queue *from);
void snapshot_image_worker(struct image *image, const struct worker *from);
void snapshot_image_build(struct image *image, const struct build *from);
void snapshot_image_key(struct image *image, const struct keyed_reply *key,
                        struct snapshot_texts *into);

#endif
