/* The model of a log: the blocks that were appended, and how many of them were acknowledged. */
#include "tests/crash/model.h"

#include "tests/lib/seed.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void model_init(struct model *model)
{
    *model = (struct model){.blocks = NULL};
}

void model_fini(struct model *model)
{
    free(model->blocks);
    model_init(model);
}

void model_copy(struct model *to, const struct model *from)
{
    *to = *from;
    to->room = from->count + 1;
    to->blocks = malloc(to->room * sizeof(*to->blocks));
    CHECK(to->blocks != NULL);
    if (from->count > 0) {
        memcpy(to->blocks, from->blocks, from->count * sizeof(*to->blocks));
    }
}

uint64_t model_next_lsn(const struct model *model)
{
    if (model->count == 0) {
        return 1;
    }
    const struct model_block *last = &model->blocks[model->count - 1];
    return last->first_lsn + last->count;
}

static void fill(const struct model_block *block, unsigned char *raw)
{
    if (block->id % 2 == 1) {
        seed_fill(block->id * 7919, raw, block->raw_bytes);
        return;
    }
    for (uint32_t i = 0; i < block->raw_bytes; i++) {
        raw[i] = (unsigned char)(1 + (block->id + i / 64) % 251);
    }
}

void model_submit(struct model *model, uint64_t id, uint32_t count, uint32_t raw_bytes,
                  unsigned char *raw)
{
    if (model->count == model->room) {
        model->room = model->room * 2 + 8;
        model->blocks = realloc(model->blocks, model->room * sizeof(*model->blocks));
        CHECK(model->blocks != NULL);
    }
    struct model_block block = {
        .id = id, .first_lsn = model_next_lsn(model), .count = count, .raw_bytes = raw_bytes};
    model->blocks[model->count++] = block;
    fill(&block, raw);
}

void model_withdraw(struct model *model)
{
    CHECK(model->count > model->acked);
    model->count--;
}

void model_acknowledge(struct model *model)
{
    model->acked = model->count;
}

static bool is_same(const struct model_block *is, const struct wal_block *block)
{
    static unsigned char expected[WAL_SEGMENT_BYTES_MIN];
    CHECK(is->raw_bytes <= sizeof(expected));
    if (block->first_lsn != is->first_lsn || block->count != is->count ||
        block->raw_bytes != is->raw_bytes) {
        return false;
    }
    fill(is, expected);
    return memcmp(block->raw, expected, is->raw_bytes) == 0;
}

void model_image(const struct model_block *block, unsigned char image[MODEL_IMAGE_BYTES])
{
    seed_fill(block->id * 7927, image, MODEL_IMAGE_BYTES);
    memcpy(image, block, sizeof(*block));
}

int model_load(void *arg, const struct wal_block *block)
{
    struct model_replay *replay = arg;
    const struct model *model = replay->model;
    const unsigned char *at = block->raw;
    bool is_right = block->raw_bytes == block->count * (size_t)MODEL_IMAGE_BYTES;
    for (uint32_t i = 0; is_right && i < block->count; i++, at += MODEL_IMAGE_BYTES) {
        unsigned char expected[MODEL_IMAGE_BYTES];
        is_right = replay->at < model->acked;
        if (is_right) {
            const struct model_block *is = &model->blocks[replay->at++];
            model_image(is, expected);
            is_right = memcmp(at, expected, sizeof(expected)) == 0;
            replay->loaded = is->first_lsn + is->count - 1;
        }
    }
    if (!is_right) {
        snprintf(replay->wrong, sizeof(replay->wrong),
                 "the snapshot's image %zu of %zu was never made, or not like this", replay->at,
                 model->acked);
    }
    return is_right || replay->is_patient ? 0 : TALLY_CORRUPT;
}

int model_unload(void *arg)
{
    struct model_replay *replay = arg;
    *replay = (struct model_replay){.model = replay->model, .is_patient = replay->is_patient};
    return 0;
}

int model_visit(void *arg, const struct wal_block *block)
{
    struct model_replay *replay = arg;
    struct model *model = replay->model;
    if (block->count == 0) {
        return 0;
    }
    if (replay->at >= model->count || !is_same(&model->blocks[replay->at], block)) {
        snprintf(replay->wrong, sizeof(replay->wrong),
                 "record %" PRIu64
                 " was never handed in, or not like this (%zu of %zu blocks seen)",
                 block->first_lsn, replay->at, model->count);
        return replay->is_patient ? 0 : TALLY_CORRUPT;
    }
    replay->at++;
    if (replay->at > model->acked) {
        model->acked = replay->at;
    }
    return 0;
}

bool model_settle(struct model_replay *replay)
{
    struct model *model = replay->model;
    if (replay->at < model->acked) {
        snprintf(replay->wrong, sizeof(replay->wrong),
                 "record %" PRIu64 " was acknowledged and is lost (%zu of %zu blocks came back)",
                 model->blocks[replay->at].first_lsn, replay->at, model->acked);
        return false;
    }
    model->count = model->acked;
    return true;
}
