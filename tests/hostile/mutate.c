/* Makes mutants: a seed spoils numbers, texts, order, bytes below the checksum, heads of blocks and
 * files. */
#include "tests/hostile/mutate.h"

#include "engine/log/columns.h"
#include "engine/state/word.h"
#include "tests/hostile/forge_state.h"
#include "tests/lib/count.h"
#include "tests/lib/expect.h"
#include "tests/lib/files.h"
#include "wal/recover/log_begin.h"
#include "wal/wal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- numbers, texts, bytes ---- */

/* Returns a number at the end of a type's range, at a limit, near the old number, or at random. */
static uint64_t spoiled_number(struct seed *seed, uint64_t was)
{
    uint64_t bit = (uint64_t)1 << seed_below(seed, 64);
    switch (seed_below(seed, 7)) {
    case 0:
        return seed_below(seed, 8);
    case 1:
        return bit;
    case 2:
        return bit - 1;
    case 3:
        return was + seed_below(seed, 5) - 2;
    case 4:
        return was ^ bit;
    case 5:
        return UINT64_MAX - seed_below(seed, 4);
    default:
        return seed_next(seed);
    }
}

enum { BIG_BYTES = 300 << 10 };
static char big[BIG_BYTES];

static struct span spoiled_text(struct seed *seed, struct span was)
{
    static const char *const texts[] = {"",         "a;b",       "b,a", "p\r\nOK", "\xff",
                                        "\xc2\x9b", "q/other",   "A",   "a",       "w",
                                        "q",        "arm,linux", ";",   "\x1b[2J", "\xe2\x80\xae"};
    static char random[200];
    switch (seed_below(seed, 4)) {
    case 0:
        seed_fill(seed_next(seed), (unsigned char *)random, sizeof(random));
        return (struct span){random, seed_below(seed, sizeof(random))};
    case 1:
        return (struct span){big, seed_below(seed, 8) == 0 ? BIG_BYTES : seed_below(seed, 300)};
    case 2:
        return (struct span){was.at, was.len > 0 ? was.len - 1 : 0};
    default:
        return span_of(texts[seed_below(seed, COUNT_OF(texts))]);
    }
}

/* Flips, cuts or copies within the bytes. Returns their new length. */
static size_t spoil_bytes(struct seed *seed, unsigned char *bytes, size_t len)
{
    for (uint64_t times = 1 + seed_below(seed, 4); times > 0 && len > 1; times--) {
        size_t at = (size_t)seed_below(seed, len);
        switch (seed_below(seed, 5)) {
        case 0:
            bytes[at] = (unsigned char)seed_next(seed);
            break;
        case 1:
            bytes[at] = seed_below(seed, 2) == 0 ? 0xff : 0x80;
            break;
        case 2:
            memmove(bytes + at, bytes + at + 1, len - at - 1);
            len--;
            break;
        case 3:
            len = seed_below(seed, 4) == 0 ? at + 1 : len;
            break;
        default:
            bytes[at] = (unsigned char)(bytes[at] ^ 1U << seed_below(seed, 8));
            break;
        }
    }
    return len;
}

/* ---- images and records ---- */

static void spoil_images(struct seed *seed, struct forge_images *images)
{
    for (uint64_t times = 1 + seed_below(seed, 3); times > 0; times--) {
        size_t at = (size_t)seed_below(seed, images->count);
        size_t other = (size_t)seed_below(seed, images->count);
        struct image *image = &images->at[at];
        uint64_t *num = &image->num[seed_below(seed, IMAGE_NUMS)];
        struct span *text = &image->text[seed_below(seed, IMAGE_TEXTS)];
        struct image kept = *image;
        switch (seed_below(seed, 8)) {
        case 0:
        case 1:
        case 2:
        case 3:
            *num = spoiled_number(seed, *num);
            break;
        case 4:
        case 5:
            *text = spoiled_text(seed, *text);
            break;
        case 6:
            *image = images->at[other];
            images->at[other] = kept;
            break;
        default:
            images->at[other].kind = image->kind;
            break;
        }
    }
}

/* Corrects sums and counts, so that a load does not stop at the sums. */
static void put_right(struct forge_images *images)
{
    uint64_t counts[IMAGE_KINDS] = {0};
    uint64_t votes = 0;
    uint64_t bytes = 0;
    struct image *head = NULL;
    for (size_t i = 0; i < images->count; i++) {
        struct image *image = &images->at[i];
        counts[image->kind]++;
        votes += image->kind == IMAGE_OPTION ? image->num[IOPTION_VOTES] : 0;
        bytes += image->kind == IMAGE_BUILD ? image->text[IBUILD_PAYLOAD].len : 0;
        head = image->kind == IMAGE_HEAD ? image : head;
    }
    for (size_t i = 0; i < images->count; i++) {
        if (images->at[i].kind == IMAGE_POLL) {
            images->at[i].num[IPOLL_TOTAL] = votes; /* there is one poll */
        }
    }
    if (head != NULL) {
        head->num[HEAD_VOTES] = votes;
        head->num[HEAD_PAYLOAD_BYTES] = bytes;
        head->num[HEAD_POLLS] = counts[IMAGE_POLL] - head->num[HEAD_DELETED_POLLS];
        head->num[HEAD_OPTIONS] = counts[IMAGE_OPTION] - head->num[HEAD_DELETED_OPTIONS];
        head->num[HEAD_QUEUES] = counts[IMAGE_QUEUE];
        head->num[HEAD_WORKERS] = counts[IMAGE_WORKER];
        head->num[HEAD_WORKER_LAST] = counts[IMAGE_WORKER];
        head->num[HEAD_QUEUE_LAST] = counts[IMAGE_QUEUE];
        head->num[HEAD_BUILDS] = counts[IMAGE_BUILD];
        head->num[HEAD_KEYS] = counts[IMAGE_KEY];
    }
}

/* Brings numbers close to the limits of counters. */
static void bring_to_end(struct seed *seed, struct forge_images *images)
{
    const uint64_t few = seed_below(seed, 8);
    struct image *build = &images->at[FORGED_PENDING + seed_below(seed, 4)];
    uint32_t status = (uint32_t)build->num[IBUILD_APPLIED];
    switch (seed_below(seed, 6)) {
    case 0:
        images->at[FORGED_OPTION].num[IOPTION_VOTES] = VOTES_MASK + 2 - few;
        break;
    case 1:
        images->at[FORGED_OPTION].num[IOPTION_VOTES] = VOTES_RANGE + 2 - few;
        break;
    case 2:
    case 3:
        build->num[IBUILD_APPLIED] = status_make(
            status_state(status), (BUILD_TOKEN_MAX + 2 - (uint32_t)few) & BUILD_TOKEN_MAX);
        break;
    case 4:
        build->num[IBUILD_ATTEMPTS] = few < 4 ? few : UINT16_MAX + 4 - few;
        break;
    default:
        images->at[FORGED_HEAD].num[HEAD_TIME_MS] = ((uint64_t)1 << 53) + 4 - few;
        break;
    }
}

static void spoil_records(struct seed *seed, struct forge_records *records)
{
    for (uint64_t times = 1 + seed_below(seed, 3); times > 0; times--) {
        size_t at = (size_t)seed_below(seed, records->count);
        size_t other = (size_t)seed_below(seed, records->count);
        struct record *record = &records->at[at];
        uint64_t *num = &record->num[seed_below(seed, RECORD_NUMS)];
        struct span *text = &record->text[seed_below(seed, RECORD_TEXTS)];
        struct record kept = *record;
        switch (seed_below(seed, 10)) {
        case 0:
        case 1:
        case 2:
        case 3:
            *num = spoiled_number(seed, *num);
            break;
        case 4:
        case 5:
            *text = spoiled_text(seed, *text);
            break;
        case 6:
            *record = records->at[other];
            records->at[other] = kept;
            break;
        case 7:
            *record = records->at[other];
            break;
        case 8:
            record->time_ms = spoiled_number(seed, FORGE_MS);
            break;
        default:
            record->type = records->at[other].type;
            break;
        }
    }
}

/* ---- files ---- */

/* Writes one block with all images or records and spoils some bytes; the count may be wrong. */
static void spoiled_block(struct seed *seed, struct forge *forge, uint32_t count,
                          const unsigned char *raw, size_t len)
{
    unsigned char *copy = malloc(len);
    EXPECT(copy != NULL, "malloc: %m");
    memcpy(copy, raw, len);
    size_t left = spoil_bytes(seed, copy, len);
    uint32_t told = seed_below(seed, 4) == 0 ? count + (uint32_t)seed_below(seed, 5) - 2 : count;
    forge_block(forge, 0, told, copy, left);
    free(copy);
}

/* Begins the log behind a snapshot: an empty first segment, as retention leaves it. */
static void begin_behind(const char *dir)
{
    struct wal_io *io;
    EXPECT(wal_file_io_new(&io, dir, 0) == 0, "%s", dir);
    EXPECT(wal_log_begin_behind(io, forge_uuid, FORGE_LSN) == 0, "wal_log_begin_behind: %m");
    io->ops->destroy(io);
}

static void image_bytes(struct seed *seed, const char *dir)
{
    struct image_buf buf = {.at = NULL};
    struct forge_images images;
    struct forge forge;
    forge_images(&images);
    for (size_t i = 0; i < images.count; i++) {
        EXPECT(image_put(&buf, &images.at[i]) == 0, "image_put: %m");
    }
    forge_snapshot(&forge, dir, FORGE_LSN);
    spoiled_block(seed, &forge, buf.count, buf.at, buf.len);
    forge_snapshot_end(&forge, true, forge.next - 1);
    image_buf_fini(&buf);
    begin_behind(dir);
}

/* Writes all records in a few blocks: votes in runs, builds side by side. */
static void record_blocks(struct seed *seed, const char *dir, bool are_bytes)
{
    struct columns columns = {.count = 0};
    struct forge_records records;
    struct forge forge;
    forge_records(&records);
    if (!are_bytes) {
        spoil_records(seed, &records);
    }
    forge_small_segment(&forge, dir, 1, 1);
    for (size_t i = 0; i < records.count;) {
        const unsigned char *raw;
        size_t len;
        size_t end = i + 1 + (size_t)seed_below(seed, 8);
        columns_begin(&columns, FORGE_MS + i * 1000);
        for (; i < end && i < records.count; i++) {
            EXPECT(columns_add(&columns, &records.at[i]) == 0, "columns_add: %m");
        }
        EXPECT(columns_end(&columns, &raw, &len) == 0, "columns_end: %m");
        if (len > WAL_SEGMENT_BYTES_MIN / 4) {
            break; /* a large text: the block has no room for two of them */
        }
        if (are_bytes && seed_below(seed, 3) == 0) {
            spoiled_block(seed, &forge, columns.count, raw, len);
        } else {
            forge_block(&forge, 0, columns.count, raw, len);
        }
    }
    columns_fini(&columns);
    forge_close(&forge);
}

/* Writes blocks whose heads contradict their payload, their place or each other. */
static void spoiled_heads(struct seed *seed, struct forge *forge)
{
    static const unsigned char members[] = {1, 3, 'a', 'b', 'c', 1, 2, 'd', 'e'};
    for (uint64_t i = 0; i < 4; i++) {
        struct wal_block_header header = {.count = 1};
        size_t len = (size_t)seed_below(seed, sizeof(members) + 1);
        header.count = seed_below(seed, 2) == 0 ? (uint32_t)seed_below(seed, 4)
                                                : (uint32_t)spoiled_number(seed, 1);
        header.flags = (uint16_t)seed_below(seed, 2 * WAL_BLOCK_PACKED);
        switch (seed_below(seed, 6)) {
        case 0:
            header.first_lsn = spoiled_number(seed, forge->next);
            break;
        case 1:
            header.durable_lsn = spoiled_number(seed, forge->next);
            break;
        case 2:
            header.durable_pages = (uint32_t)spoiled_number(seed, i);
            break;
        case 3:
            header.raw_bytes = (uint32_t)spoiled_number(seed, len);
            break;
        case 4:
            header.codec = (uint8_t)seed_below(seed, 3);
            header.raw_bytes = (uint32_t)spoiled_number(seed, 1 << 20);
            break;
        default:
            break;
        }
        if (forge->offset > WAL_SEGMENT_BYTES_MIN - 2 * WAL_PAGE_BYTES) {
            return;
        }
        forge_any_block(forge, &header, members, len);
    }
}

static void block_heads(struct seed *seed, const char *dir)
{
    struct forge forge;
    if (seed_below(seed, 3) == 0) {
        forge_snapshot(&forge, dir, FORGE_LSN);
        spoiled_heads(seed, &forge);
        forge_snapshot_end(&forge, seed_below(seed, 2) == 0, forge.next - 1);
        begin_behind(dir);
        return;
    }
    forge_small_segment(&forge, dir, 1, 1);
    spoiled_heads(seed, &forge);
    forge_close(&forge);
}

static void file_heads(struct seed *seed, const char *dir)
{
    struct forge_images images;
    struct forge forge;
    struct wal_segment_head head = {.number = 1, .bytes = WAL_SEGMENT_BYTES_MIN, .epoch = 1};
    memcpy(head.uuid, forge_uuid, sizeof(head.uuid));
    forge_images(&images);
    forge_saved(dir, &images);
    uint64_t lsn = seed_below(seed, 2) == 0 ? FORGE_LSN : spoiled_number(seed, FORGE_LSN);
    forge_snapshot(&forge, dir, lsn);
    forge_block(&forge, 0, 1, "x", 1);
    forge_block(&forge, WAL_BLOCK_SEAL | WAL_BLOCK_CLEAN, 0, NULL, 0);
    forge_snapshot_head(&forge, spoiled_number(seed, forge.offset), spoiled_number(seed, 1));
    forge_close(&forge);
    head.number = spoiled_number(seed, 3);
    head.epoch = (uint32_t)spoiled_number(seed, 2);
    forge_segment(&forge, dir, &head, FORGE_LSN + 1);
    struct wal_segment_head told = head;
    told.number = seed_below(seed, 2) == 0 ? head.number : spoiled_number(seed, head.number);
    told.bytes = seed_below(seed, 2) == 0 ? head.bytes : spoiled_number(seed, head.bytes);
    unsigned char page[WAL_PAGE_BYTES];
    wal_segment_head_put(page, &told);
    EXPECT(pwrite(forge.fd, page, sizeof(page), 0) == (ssize_t)sizeof(page), "pwrite: %m");
    forge.head = told;
    forge_block(&forge, 0, 1, "x", 1);
    forge_close(&forge);
}

/* ---- one mutant ---- */

static void images_spoiled(struct seed *seed, const char *dir)
{
    struct forge_images images;
    forge_images(&images);
    if (seed_below(seed, 3) == 0) {
        bring_to_end(seed, &images);
    } else {
        spoil_images(seed, &images);
    }
    if (seed_below(seed, 4) != 0) {
        put_right(&images);
    }
    forge_saved(dir, &images);
}

static void records_spoiled(struct seed *seed, const char *dir)
{
    record_blocks(seed, dir, false);
}

static void records_alone(struct seed *seed, const char *dir)
{
    struct forge_records records;
    forge_records(&records);
    spoil_records(seed, &records);
    forge_logged(dir, &records);
}

static void record_bytes(struct seed *seed, const char *dir)
{
    record_blocks(seed, dir, true);
}

static char repeat[160];

void mutate(struct seed *seed, const char *dir)
{
    static const struct {
        const char *name;
        void (*make)(struct seed *seed, const char *dir);
    } ways[] = {
        {"images", images_spoiled},       {"images", images_spoiled},
        {"bytes of images", image_bytes}, {"records", records_spoiled},
        {"records", records_alone},       {"bytes of records", record_bytes},
        {"heads of blocks", block_heads}, {"heads of files", file_heads},
    };
    size_t way = (size_t)seed_below(seed, COUNT_OF(ways));
    size_t used = strlen(repeat);
    snprintf(repeat + used, sizeof(repeat) - used, "  (%s)\n", ways[way].name);
    ways[way].make(seed, dir);
}

/* ---- running a mutant ---- */

void mutant_dir(char *path, size_t capacity)
{
    if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm", 1);
    }
    files_temp_dir(path, capacity);
}

/* Prints the command that repeats a mutant that hangs or crashes, with calls that a signal handler
 * may make. */
static void on_signal(int number)
{
    ssize_t written = write(STDERR_FILENO, repeat, strlen(repeat));
    (void)written;
    signal(number, SIG_DFL);
    raise(number);
}

static bool is_over;

/* Prints that command when the process ends by exit, or by a failed EXPECT. */
static void tell_repeat(void)
{
    if (!is_over) {
        fputs(repeat, stderr);
    }
}

void mutant_over(void)
{
    is_over = true;
}

void mutant_begin(uint64_t seed, const char *command, unsigned seconds)
{
    if (repeat[0] == '\0') {
        atexit(tell_repeat);
        expect_on_fail(tell_repeat);
    }
    snprintf(repeat, sizeof(repeat), "FAILED: %s --seed %llu --count 1\n", command,
             (unsigned long long)seed);
    signal(SIGALRM, on_signal);
    signal(SIGABRT, on_signal);
    signal(SIGFPE, on_signal);
    alarm(seconds);
}

uint64_t mutant_peak_mib(void)
{
    struct rusage usage;
    EXPECT(getrusage(RUSAGE_SELF, &usage) == 0, "getrusage: %m");
    return (uint64_t)usage.ru_maxrss / 1024;
}
