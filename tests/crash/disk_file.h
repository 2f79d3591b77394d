/* The files of the simulated disk: pages, cached and durable, shared between copies of a disk. */
#ifndef TALLY_TESTS_CRASH_DISK_FILE_H
#define TALLY_TESTS_CRASH_DISK_FILE_H

#include "tests/crash/disk.h"

struct disk_page {
    unsigned refs;
    unsigned char bytes[DISK_PAGE_BYTES];
};

/* A page of a file. NULL stands for zeros. */
struct disk_slot {
    struct disk_page *durable;
    struct disk_page *cached;
    struct disk_page *older; /* what was written before, and not synced either */
    uint8_t dirty;           /* sectors that are only cached */
    uint8_t older_dirty;     /* sectors of older that were */
};

/* Shared by the names and descriptors of one disk; copies of the disk share only pages. */
struct disk_file {
    unsigned refs;
    uint64_t size; /* as programs see it */
    uint64_t size_durable;
    struct disk_slot *slots;
    size_t count;
};

struct disk_file *disk_file_new(void);
struct disk_file *disk_file_copy(const struct disk_file *file);
struct disk_file *disk_file_ref(struct disk_file *file);
void disk_file_unref(struct disk_file *file);

void disk_file_write(struct disk_file *file, const void *from, size_t len, uint64_t offset);
size_t disk_file_read(const struct disk_file *file, void *into, size_t len, uint64_t offset);
void disk_file_truncate(struct disk_file *file, uint64_t len);

/* What is dirty becomes durable. */
void disk_file_sync(struct disk_file *file);

/* What is dirty counts as written and is not: the sync that failed. Of each sector the seed says
 * whether it got there all the same. */
void disk_file_forget(struct disk_file *file, struct seed *seed);

/* What is clean is next read from the disk. */
void disk_file_drop_cache(struct disk_file *file);

/* Counts or decides what a crash leaves of it; *item numbers the things to decide about. */
struct disk_fate;
void disk_file_count(const struct disk_file *file, unsigned *items);
void disk_file_crash(struct disk_file *file, struct disk_fate *fate);

/* How a crash decides, item by item. */
struct disk_fate {
    struct disk_choice choice;
    unsigned habits;
    unsigned item;
    unsigned keep_of_8; /* RANDOM: so likely is it to be kept */
    struct seed seed;
};

/* Whether the next item is kept. */
bool disk_fate_keeps(struct disk_fate *fate);

#endif
