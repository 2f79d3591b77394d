/* The valid state and the valid history that the tests spoil. */
#include "tests/hostile/forge_state.h"

#include "engine/log/columns.h"
#include "engine/state/state.h"
#include "engine/state/word.h"
#include "tests/lib/count.h"
#include "tests/lib/expect.h"
#include "wal/base/span.h"
#include "wal/recover/log_begin.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT(word)                                                                                 \
    {                                                                                              \
        word, sizeof(word) - 1                                                                     \
    }

static struct image build_image(uint64_t id, enum build_state state, uint32_t token)
{
    bool is_held = state == BUILD_ASSIGNED || state == BUILD_BUILDING;
    bool is_ended = state == BUILD_COMPLETED;
    return (struct image){
        .kind = IMAGE_BUILD,
        .num = {[IMAGE_ID] = id,
                [IBUILD_APPLIED] = status_make(state, token),
                [IBUILD_QUEUE] = 1,
                [IBUILD_SET] = 0,
                [IBUILD_PRI] = 5,
                [IBUILD_TRIES] = 3,
                [IBUILD_ATTEMPTS] = is_held || is_ended,
                [IBUILD_SUBMIT_LEASE_MS] = 60000,
                [IBUILD_LEASE_MS] = 60000,
                [IBUILD_WORKER] = is_held,
                [IBUILD_SUBMITTED_MS] = FORGE_MS,
                [IBUILD_STARTED_MS] = is_held || is_ended ? FORGE_MS : 0,
                [IBUILD_ENDED_MS] = is_ended ? FORGE_MS : 0,
                [IBUILD_PENDING_LSN] = 10 + id,
                [IBUILD_DUE_MS] = FORGE_MS + 1000,
                [IBUILD_ENDED_LSN] = is_ended ? 30 : 0},
        .text = {TEXT("make"),
                 {is_ended ? "ok" : NULL, is_ended ? 2 : 0},
                 [IBUILD_BY] = {is_held || is_ended ? "w" : NULL, is_held || is_ended}},
    };
}

/* A trend that was changed 10 buckets before the last record, and has two samples. */
#define TREND "\xf6\x99\x9d\xa8\x01\x00\x04\x9c\x99\x9d\xa8\x01\x01\x32\x02"

void forge_images(struct forge_images *images)
{
    *images = (struct forge_images){.count = FORGED_END + 1};
    struct image *at = images->at;
    at[FORGED_HEAD] = (struct image){.kind = IMAGE_HEAD,
                                     .num = {[HEAD_LSN] = FORGE_LSN,
                                             [HEAD_TIME_MS] = FORGE_MS,
                                             [HEAD_VOTES] = 5,
                                             [HEAD_POLLS] = 1,
                                             [HEAD_OPTIONS] = 2,
                                             [HEAD_QUEUES] = 1,
                                             [HEAD_WORKERS] = 1,
                                             [HEAD_BUILD_NEXT] = 5,
                                             [HEAD_BUILDS] = 4,
                                             [HEAD_PAYLOAD_BYTES] = 16,
                                             [HEAD_WORKER_LAST] = 1,
                                             [HEAD_QUEUE_LAST] = 1,
                                             [HEAD_KEYS] = 2,
                                             [HEAD_HAS_KEYS] = 1}};
    at[FORGED_POLL] = (struct image){
        .kind = IMAGE_POLL,
        .num = {[IMAGE_ID] = 1, [IPOLL_TOTAL] = 5, [IPOLL_OPEN] = 1, [IPOLL_VOTERS] = 2},
        .text = {[IPOLL_NAME] = TEXT("p"), [IPOLL_TREND] = TEXT(TREND)}};
    at[FORGED_OPTION] = (struct image){
        .kind = IMAGE_OPTION, .num = {1, 1, 3, 2}, .text = {TEXT("A"), TEXT("a"), TEXT(TREND)}};
    at[FORGED_OPTION_2] =
        (struct image){.kind = IMAGE_OPTION, .num = {2, 1, 2, 2}, .text = {TEXT("B"), TEXT("b")}};
    at[FORGED_QUEUE] =
        (struct image){.kind = IMAGE_QUEUE, .num = {1, 2}, .text = {TEXT("q"), TEXT(";arm,linux")}};
    at[FORGED_WORKER] = (struct image){.kind = IMAGE_WORKER,
                                       .num = {1, 0, 2, 2, 1, 0},
                                       .text = {TEXT("w"), TEXT("The worker"), TEXT("arm")}};
    at[FORGED_PENDING] = build_image(1, BUILD_PENDING, 1);
    at[FORGED_PENDING].text[IBUILD_UNIQ] = (struct span)TEXT("q/nightly");
    at[FORGED_HELD] = build_image(2, BUILD_ASSIGNED, 2);
    at[FORGED_DELAYED] = build_image(3, BUILD_DELAYED, 1);
    at[FORGED_ENDED] = build_image(4, BUILD_COMPLETED, 3);
    at[FORGED_ENDED].num[IBUILD_ENDING] = ending_word(HOW_DONE, 2, 0);
    at[FORGED_KEY] = (struct image){.kind = IMAGE_KEY,
                                    .num = {11, FORGE_MS - 1000, RECORD_SUBMIT, 77, 0, 1},
                                    .text = {TEXT("k")}};
    at[FORGED_KEY_2] = (struct image){.kind = IMAGE_KEY,
                                      .num = {12, FORGE_MS, RECORD_OPTION, 78, 0, 2},
                                      .text = {TEXT("k"), TEXT("\2\3"), TEXT("\1")}};
    at[FORGED_VOTER] =
        (struct image){.kind = IMAGE_VOTER, .num = {1, 1}, .text = {TEXT("v"), TEXT("\0")}};
    at[FORGED_VOTER_2] =
        (struct image){.kind = IMAGE_VOTER, .num = {1, 1}, .text = {TEXT("another")}};
    at[FORGED_END] = (struct image){.kind = IMAGE_END, .num = {FORGED_END}};
}

void forge_saved(const char *dir, const struct forge_images *images)
{
    struct image_buf buf = {.at = NULL};
    struct forge forge;
    struct wal_io *io;
    for (size_t i = 0; i < images->count; i++) {
        struct image image = images->at[i];
        if (image.kind == IMAGE_END && image.num[END_IMAGES] != 0) {
            image.num[END_IMAGES] = i;
        }
        EXPECT(image_put(&buf, &image) == 0, "image_put");
    }
    forge_snapshot(&forge, dir, FORGE_LSN);
    forge_block(&forge, 0, buf.count, buf.at, buf.len);
    forge_snapshot_end(&forge, true, buf.count);
    image_buf_fini(&buf);
    EXPECT(wal_file_io_new(&io, dir, 0) == 0, "wal_file_io_new");
    EXPECT(wal_log_begin_behind(io, forge_uuid, FORGE_LSN) == 0, "wal_log_begin_behind");
    io->ops->destroy(io);
}

#define STEP(name, build, from, from_token, to, to_token, ...)                                     \
    {                                                                                              \
        .type = RECORD_##name, .num = {                                                            \
            build,                                                                                 \
            (uint64_t)BUILD_##from << 28 | (from_token),                                           \
            (uint64_t)BUILD_##to << 28 | (to_token),                                               \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

void forge_records(struct forge_records *records)
{
    static const struct record all[] = {
        {.type = RECORD_POLL, .num = {0, 0, 0, 5, 1000}, .text = {TEXT("p")}},
        {.type = RECORD_OPTION, .text = {TEXT("p"), TEXT("A"), TEXT("a")}},
        {.type = RECORD_OPTION, .text = {TEXT("p"), TEXT("B"), TEXT("b"), TEXT("k")}},
        {.type = RECORD_VOTE, .num = {1, 0, 3}},
        {.type = RECORD_VOTE, .num = {2, 0, 1}},
        {.type = RECORD_WORKER, .num = {2}, .text = {TEXT("w"), TEXT("The worker"), TEXT("arm")}},
        {.type = RECORD_SUBMIT,
         .num = {5, 0, 60000, 3},
         .text = {TEXT("q"), TEXT("arm"), TEXT("nightly"), TEXT("make"), TEXT("k")}},
        {.type = RECORD_SUBMIT,
         .num = {5, 1000, 60000, 3},
         .text = {TEXT("q"), {NULL, 0}, {NULL, 0}, TEXT("make two")}},
        STEP(CLAIM, 1, PENDING, 1, ASSIGNED, 2, 1, 60000),
        STEP(BEAT, 1, ASSIGNED, 2, BUILDING, 2, 0),
        STEP(FAIL, 1, BUILDING, 2, DELAYED, 3, 500),
        STEP(DUE, 1, DELAYED, 3, PENDING, 4, 0),
        STEP(CLAIM, 1, PENDING, 4, ASSIGNED, 5, 1, 60000),
        STEP(RELEASE, 1, ASSIGNED, 5, PENDING, 6, 0),
        STEP(CLAIM, 1, PENDING, 6, ASSIGNED, 7, 1, 60000),
        STEP(EXPIRE, 1, ASSIGNED, 7, PENDING, 8, 0),
        STEP(CLAIM, 1, PENDING, 8, ASSIGNED, 9, 1, 60000),
        STEP(DONE, 1, ASSIGNED, 9, COMPLETED, 10, 0),
        {.type = RECORD_POLL_WINDOW, .num = {1, 0}},
        {.type = RECORD_OFFLINE, .num = {1}},
        {.type = RECORD_VOTE, .num = {1, 3, 2}},
        {.type = RECORD_BYE, .text = {TEXT("w")}},
        {.type = RECORD_RESET, .num = {1}, .text = {TEXT("k")}},
        {.type = RECORD_VOTE, .num = {1, 0, 4}},
        {.type = RECORD_POLL, .text = {TEXT("gone")}},
        {.type = RECORD_OPTION, .text = {TEXT("gone"), TEXT("A"), TEXT("a")}},
        {.type = RECORD_POLLDEL, .num = {2}},
        {.type = RECORD_PURGE, .num = {2, 1}},
    };
    _Static_assert(COUNT_OF(all) <= FORGE_RECORDS_MAX, "room for all");
    records->count = COUNT_OF(all);
    memcpy(records->at, all, sizeof(all));
}

void forge_logged(const char *dir, const struct forge_records *records)
{
    struct columns columns = {.count = 0};
    struct forge forge;
    struct wal_segment_head head = {.number = 1, .bytes = 1 << 20, .epoch = 1};
    memcpy(head.uuid, forge_uuid, sizeof(head.uuid));
    forge_segment(&forge, dir, &head, 1);
    for (size_t i = 0; i < records->count; i++) {
        const unsigned char *raw;
        size_t len;
        const struct record *record = &records->at[i];
        columns_begin(&columns,
                      record->time_ms != 0 ? record->time_ms : FORGE_MS + (uint64_t)i * 1000);
        EXPECT(columns_add(&columns, record) == 0 && columns_end(&columns, &raw, &len) == 0,
               "columns_add");
        forge_block(&forge, 0, 1, raw, len);
    }
    columns_fini(&columns);
    forge_seal(&forge);
}
