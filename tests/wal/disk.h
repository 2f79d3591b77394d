/* A directory with a log for one test: opened, filled, killed, damaged, looked at. */
#ifndef TALLY_TESTS_WAL_DISK_H
#define TALLY_TESTS_WAL_DISK_H

#include "wal/format/block.h"
#include "wal/wal.h"

#include <stddef.h>
#include <stdint.h>

struct disk {
    char path[128];
    struct wal_io *io;                               /* NULL after disk_kill */
    struct wal *wal;                                 /* NULL when not open */
    uint64_t segment_bytes;                          /* 64 KiB, unless a test says otherwise */
    const struct wal_janitor_options *janitor;       /* NULL, unless a test says otherwise */
    void (*on_trouble)(void *arg, const char *what); /* as janitor */
    struct wal_report report;
};

void disk_init(struct disk *disk);
void disk_fini(struct disk *disk);

/* A visitor: the block is the next one, with the bytes that disk_append gave it. arg is the lsn
 * that is next, a uint64_t, to begin with 1. */
int disk_check_block(void *arg, const struct wal_block *block);

/* Opens the log, and checks that every record comes in order with the bytes that disk_append gave
 * it. Returns what wal_open returned. */
int disk_open(struct disk *disk);

/* Reads it with wal_read, checking as disk_open. */
int disk_read(struct disk *disk);

/* Appends one block of count records of `each` bytes, at most. Hard to compress with `noise`. */
int disk_append(struct disk *disk, uint32_t count, size_t each, bool noise);

/* disk_append that must succeed, with small records. */
void disk_must_append(struct disk *disk, uint32_t count);

/* Appends blocks of all kinds, and confirms some; ends at the first that fails. After each,
 * *acknowledged (NULL: nothing) is the last lsn that is on the disk. */
void disk_append_all_kinds(struct disk *disk, uint32_t blocks, _Atomic uint64_t *acknowledged);

/* Ends the process that has the log open, as far as a test can: nothing is written any more, the
 * lock goes. */
void disk_kill(struct disk *disk);

void disk_close_clean(struct disk *disk);

/* Makes `to` a copy of all files, as they are now; the log may be open. */
void disk_copy(const struct disk *from, struct disk *to);

/* A file's bytes; the caller frees. */
unsigned char *disk_load(const struct disk *disk, const char *name, size_t *len);
void disk_store(const struct disk *disk, const char *name, const void *bytes, size_t len);
void disk_poke(const struct disk *disk, const char *name, uint64_t offset, const void *bytes,
               size_t len);
void disk_flip(const struct disk *disk, const char *name, uint64_t bit);
void disk_zero(const struct disk *disk, const char *name, uint64_t offset, size_t len);
void disk_truncate(const struct disk *disk, const char *name, uint64_t len);
void disk_unlink(const struct disk *disk, const char *name);
bool disk_has(const struct disk *disk, const char *name);

/* "wal-<number>.seg"; lives until the call after the next. */
const char *disk_segment(uint64_t number);

/* The header of a segment. */
struct wal_segment_head disk_head(const struct disk *disk, uint64_t number);

/* Writes a block of our own making into a segment. The payload is raw. */
void disk_forge(const struct disk *disk, uint64_t number, uint64_t offset,
                struct wal_block_header header, const void *raw, size_t raw_bytes);

/* What the records first_lsn and on look like: fills len bytes. */
void disk_fill(unsigned char *raw, size_t len, uint64_t first_lsn, bool noise);

#endif
