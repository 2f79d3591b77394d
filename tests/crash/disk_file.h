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
    struct disk_page *older; /* an earlier write that was not synced either */
    uint8_t dirty;           /* sectors that are only cached */
    uint8_t older_dirty;     /* the same of older */
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

/* Makes the dirty sectors durable. */
void disk_file_sync(struct disk_file *file);

/* Fails a sync: dirty sectors count as written and are lost. The seed decides for each sector
 * whether it reached the disk all the same. */
void disk_file_forget(struct disk_file *file, struct seed *seed);

/* Drops the clean pages from the cache. */
void disk_file_drop_cache(struct disk_file *file);

/* Counts or decides what a crash leaves of the file; *item is the number of the next item. */
struct disk_fate;
void disk_file_count(const struct disk_file *file, unsigned *items);
void disk_file_crash(struct disk_file *file, struct disk_fate *fate);

/* How a crash decides, item by item. */
struct disk_fate {
    struct disk_choice choice;
    unsigned habits;
    unsigned item;
    unsigned keep_of_8; /* RANDOM: an item is kept with this chance, in eighths */
    struct seed seed;
};

/* Whether the next item is kept. */
bool disk_fate_keeps(struct disk_fate *fate);

#endif
