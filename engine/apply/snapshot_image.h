/* The image of an entity as it is committed: what a snapshot says of it, and the digest. */
#ifndef TALLY_ENGINE_APPLY_SNAPSHOT_IMAGE_H
#define TALLY_ENGINE_APPLY_SNAPSHOT_IMAGE_H

#include "engine/log/image.h"
#include "engine/state/state.h"
#include "wal/base/bytes.h"

/* The seconds of a poll take no more. */
enum { SNAPSHOT_SECONDS_BYTES = POLL_SECONDS * 3 * VARINT_BYTES_MAX };

/*
 * Each makes the image. Its texts point into the entity and, of a poll, into `seconds`. The tags of
 * a queue's need sets are left out: whoever needs them as one text makes it. Threads: the
 * committer, or nobody else is there.
 */
void snapshot_image_head(struct image *image, const struct state *from);
void snapshot_image_poll(struct image *image, const struct poll *from,
                         unsigned char seconds[SNAPSHOT_SECONDS_BYTES]);
void snapshot_image_option(struct image *image, const struct option *from);
void snapshot_image_queue(struct image *image, const struct queue *from);
void snapshot_image_worker(struct image *image, const struct worker *from);
void snapshot_image_build(struct image *image, const struct build *from);

#endif
