/* Damage to a log on the simulated disk: the log is read whole or is refused. */
#include "tests/crash/damage.h"

#include "wal/base/check.h"
#include "wal/base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A place of the damage, for the text of a failure. */
struct place {
    const char *name;
    uint64_t at;
    bool is_spared; /* no record depends on it: a refusal would be wrong */
};

void damage_init(struct damage *damage, const char *script, uint64_t seed, bool is_clean)
{
    *damage = (struct damage){.is_clean = is_clean};
    damage->is_confirmed = is_clean || script[strlen(script) - 1] == 'c';
    run_init(&damage->run, seed, FIBER_WRITER_FIRST);
    damage->run.disk.point = fiber_point;
    damage->failed = !run_script(&damage->run, script);
    if (damage->failed) {
        snprintf(damage->text, sizeof(damage->text), "%s", damage->run.wrong);
        run_stop(&damage->run);
        return;
    }
    fiber_settle();
    CHECK(run_close(&damage->run, is_clean) == 0);
    damage->has_spare = damage->run.model.older_lsn > 0;
    disk_kill(&damage->run.disk);
    disk_crash(&damage->run.disk, (struct disk_choice){DISK_KEEP_ALL, 0});
}

void damage_fini(struct damage *damage)
{
    run_fini(&damage->run);
}

static bool is_enough(const struct damage *damage, const struct model_replay *replay)
{
    size_t may_go = damage->is_confirmed ? 0 : 1;
    may_go += damage->is_double && !damage->is_clean ? 1 : 0;
    return replay->at + may_go >= damage->run.model.acked;
}

static void judge(struct damage *damage, int err, const struct model_replay *replay,
                  const struct wal_report *report, struct place place)
{
    bool is_refusal = err == TALLY_DAMAGE || err == TALLY_NEWER;
    damage->cases++;
    if (is_refusal && !place.is_spared) {
        damage->refused++;
    } else if (replay->wrong[0] == '\0' && err == 0 && is_enough(damage, replay) &&
               replay->loaded == report->snapshot_lsn) {
        damage->right += replay->at == damage->run.model.acked;
        damage->shortened += replay->at != damage->run.model.acked;
    } else {
        damage->failed = true;
        snprintf(damage->text, sizeof(damage->text),
                 "%s, %s at %" PRIu64 ": %zu of %zu blocks came back, %s %s: %s", damage->kind,
                 place.name, place.at, replay->at, damage->run.model.acked, tally_err_name(err),
                 replay->wrong, report->text);
    }
}

/* Opens the damaged disk as a start would. The disk is used up. */
static void try(struct damage *damage, struct disk *disk, struct place place)
{
    struct wal_report report;
    struct wal *wal = NULL;
    struct model model;
    struct wal_options options = {.io = &disk->io,
                                  .segment_bytes = WAL_SEGMENT_BYTES_MIN,
                                  .start_bytes = WAL_SEGMENT_BYTES_MIN,
                                  .load = model_load,
                                  .unload = model_unload};
    model_copy(&model, &damage->run.model);
    struct model_replay replay = {.model = &model, .is_patient = true};
    disk->point = fiber_point;
    fiber_begin(FIBER_WRITER_FIRST, 0);
    int err = wal_open(&wal, &options, model_visit, &replay, &report);
    judge(damage, err, &replay, &report, place);
    disk->is_off = true;
    if (err == 0) {
        (void)wal_close(wal, false);
    }
    disk_fini(disk);
    model_fini(&model);
}

/* The place of a damage to one file alone. */
static struct place place_in(const struct damage *damage, const char *name, uint64_t at)
{
    return (struct place){name, at, damage->has_spare && strncmp(name, "snap-", 5) == 0};
}

typedef void (*at_file_fn)(struct damage *damage, const char *name, uint64_t size);

static void each_file(struct damage *damage, const char *names, at_file_fn at_file)
{
    const struct disk_dir *dir = &damage->run.disk.dir;
    bool has_one = false;
    for (size_t i = 0; i < dir->count && !damage->failed; i++) {
        uint64_t size = 0;
        CHECK(disk_find(&damage->run.disk, dir->names[i].name, &size));
        if (strncmp(dir->names[i].name, names, strlen(names)) == 0) {
            at_file(damage, dir->names[i].name, size);
            has_one = true;
        }
    }
    CHECK(has_one || damage->failed);
}

/* The length of a file without the zeros at its end. */
static uint64_t filled_bytes(const struct disk *disk, const char *name, uint64_t size)
{
    unsigned char page[DISK_PAGE_BYTES];
    static const unsigned char zeros[DISK_PAGE_BYTES];
    while (size >= DISK_PAGE_BYTES) {
        disk_load(disk, name, size - DISK_PAGE_BYTES, page, sizeof(page));
        if (memcmp(page, zeros, sizeof(page)) != 0) {
            break;
        }
        size -= DISK_PAGE_BYTES;
    }
    return size;
}

static void flip_bit(struct damage *damage, const char *name, uint64_t bit)
{
    struct disk disk;
    unsigned char byte;
    disk_clone(&disk, &damage->run.disk);
    disk_load(&disk, name, bit / 8, &byte, 1);
    byte ^= (unsigned char)(1U << bit % 8);
    disk_store(&disk, name, bit / 8, &byte, 1);
    try(damage, &disk, place_in(damage, name, bit));
}

/* Zeros behind the blocks are all alike, so only one bit of each sector there is flipped. */
static void bits_of(struct damage *damage, const char *name, uint64_t size)
{
    uint64_t filled = filled_bytes(&damage->run.disk, name, size);
    for (uint64_t bit = 0; bit < filled * 8 && !damage->failed; bit++) {
        flip_bit(damage, name, bit);
    }
    for (uint64_t at = filled; at < size && !damage->failed; at += DISK_SECTOR_BYTES) {
        flip_bit(damage, name, at * 8 + at / DISK_SECTOR_BYTES % 4096);
    }
}

void damage_bits(struct damage *damage, const char *names)
{
    damage->kind = "a bit flipped";
    each_file(damage, names, bits_of);
}

static void lengths_of(struct damage *damage, const char *name, uint64_t size)
{
    uint64_t filled = filled_bytes(&damage->run.disk, name, size);
    for (uint64_t len = 0; len < size && !damage->failed;
         len += len < filled ? 1 : DISK_SECTOR_BYTES) {
        struct disk disk;
        disk_clone(&disk, &damage->run.disk);
        disk_cut(&disk, name, len);
        try(damage, &disk, place_in(damage, name, len));
    }
}

void damage_lengths(struct damage *damage, const char *names)
{
    damage->kind = "cut off";
    each_file(damage, names, lengths_of);
}

/* The page at `at` gets these bytes, or with an exchange, the one it came from gets its bytes. */
static void put_page(struct damage *damage, const char *name, uint64_t at,
                     const unsigned char *bytes, uint64_t exchange_at)
{
    struct disk disk;
    unsigned char before[DISK_PAGE_BYTES];
    disk_clone(&disk, &damage->run.disk);
    disk_load(&disk, name, at, before, sizeof(before));
    disk_store(&disk, name, at, bytes, DISK_PAGE_BYTES);
    if (exchange_at != at) {
        disk_store(&disk, name, exchange_at, before, DISK_PAGE_BYTES);
    }
    try(damage, &disk, place_in(damage, name, at));
}

static void page_with_others(struct damage *damage, const char *name, uint64_t at, uint64_t size)
{
    unsigned char page[DISK_PAGE_BYTES];
    for (uint64_t from = 0; from < size && !damage->failed; from += DISK_PAGE_BYTES) {
        if (from == at) {
            continue;
        }
        disk_load(&damage->run.disk, name, from, page, sizeof(page));
        damage->kind = "a page copied";
        put_page(damage, name, at, page, at);
        damage->kind = "two pages exchanged";
        damage->is_double = true;
        put_page(damage, name, at, page, from);
        damage->is_double = false;
    }
}

static void pages_of(struct damage *damage, const char *name, uint64_t size)
{
    unsigned char page[DISK_PAGE_BYTES];
    for (uint64_t at = 0; at + DISK_PAGE_BYTES <= size && !damage->failed; at += DISK_PAGE_BYTES) {
        memset(page, 0, sizeof(page));
        damage->kind = "a page of zeros";
        put_page(damage, name, at, page, at);
        seed_fill(at, page, sizeof(page));
        damage->kind = "a page of noise";
        put_page(damage, name, at, page, at);
        page_with_others(damage, name, at, size);
    }
}

void damage_pages(struct damage *damage)
{
    each_file(damage, "", pages_of);
}

static void rename_over(struct damage *damage, const char *from, uint64_t size)
{
    const struct disk_dir *dir = &damage->run.disk.dir;
    struct disk disk;
    (void)size;
    damage->kind = "a file removed";
    disk_clone(&disk, &damage->run.disk);
    disk_remove(&disk, from);
    try(damage, &disk, place_in(damage, from, 0));
    for (size_t i = 0; i < dir->count && !damage->failed; i++) {
        if (strcmp(dir->names[i].name, from) != 0) {
            damage->kind = "a file in the place of another";
            disk_clone(&disk, &damage->run.disk);
            disk_rename(&disk, from, dir->names[i].name);
            try(damage, &disk, (struct place){.name = dir->names[i].name, .at = i});
        }
    }
}

void damage_files(struct damage *damage)
{
    each_file(damage, "", rename_over);
}

/* The bytes [at, at + len) of a file become those of the other disk. */
static void take(struct damage *damage, const struct disk *other, const char *name, size_t len,
                 uint64_t at)
{
    unsigned char bytes[WAL_SEGMENT_BYTES_MIN];
    struct disk disk;
    CHECK(len <= sizeof(bytes));
    disk_load(other, name, at, bytes, len);
    disk_clone(&disk, &damage->run.disk);
    disk_store(&disk, name, at, bytes, len);
    struct place place = place_in(damage, name, at);
    place.is_spared = place.is_spared && len == DISK_PAGE_BYTES; /* a whole file may be valid */
    try(damage, &disk, place);
}

void damage_from(struct damage *damage, const struct disk *other, bool whole_files)
{
    const struct disk_dir *dir = &damage->run.disk.dir;
    damage->kind = whole_files ? "a file of another log" : "a page of another log";
    for (size_t i = 0; i < dir->count && !damage->failed; i++) {
        const char *name = dir->names[i].name;
        uint64_t size = 0;
        uint64_t other_size = 0;
        CHECK(disk_find(&damage->run.disk, name, &size));
        if (!disk_find(other, name, &other_size)) {
            continue;
        }
        size = size < other_size ? size : other_size;
        uint64_t step = whole_files ? size : DISK_PAGE_BYTES;
        for (uint64_t at = 0; at + step <= size && !damage->failed; at += step) {
            take(damage, other, name, (size_t)step, at);
        }
    }
}
