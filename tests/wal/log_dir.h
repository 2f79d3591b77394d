/* A directory with a log for one test: to open, fill, kill, damage and read it. */
#ifndef TALLY_TESTS_WAL_LOG_DIR_H
#define TALLY_TESTS_WAL_LOG_DIR_H

#include "wal/format/block.h"
#include "wal/wal.h"

#include <stddef.h>
#include <stdint.h>

struct log_dir {
    char path[128];
    struct wal_io *io;                               /* NULL after log_dir_kill */
    struct wal *wal;                                 /* NULL when not open */
    uint64_t segment_bytes;                          /* 64 KiB, unless a test says otherwise */
    const struct wal_janitor_options *janitor;       /* NULL, unless a test says otherwise */
    void (*on_trouble)(void *arg, const char *what); /* as janitor */
    struct wal_report report;
};

void log_dir_init(struct log_dir *disk);
void log_dir_fini(struct log_dir *disk);

/* A visitor: checks that the block is the next one, with the bytes that log_dir_append gave it. arg
 * is the next lsn, a uint64_t that begins with 1. */
int log_dir_check_block(void *arg, const struct wal_block *block);

/* Opens the log, and checks that every record comes in order with the bytes that log_dir_append
 * gave it. Returns what wal_open returned. */
int log_dir_open(struct log_dir *disk);

/* Reads the log with wal_reader_once, and checks as log_dir_open. */
int log_dir_read(struct log_dir *disk);

/* Appends one block of count records of `each` bytes, at most. Hard to compress with `noise`. */
int log_dir_append(struct log_dir *disk, uint32_t count, size_t each, bool noise);

/* As log_dir_append, with small records; it must succeed. */
void log_dir_must_append(struct log_dir *disk, uint32_t count);

/* Appends blocks of all kinds, and confirms some; ends at the first that fails. After each,
 * *acknowledged (NULL: nothing) is the last lsn that is on the disk. */
void log_dir_append_all_kinds(struct log_dir *disk, uint32_t blocks,
                              _Atomic uint64_t *acknowledged);

/* Does what a kill of the process does, as far as a test can: no further write, no lock. */
void log_dir_kill(struct log_dir *disk);

void log_dir_close_clean(struct log_dir *disk);

/* Makes `to` a copy of all files, as they are now; the log may be open. */
void log_dir_copy(const struct log_dir *from, struct log_dir *to);

/* A file's bytes; the caller frees. */
unsigned char *log_dir_load(const struct log_dir *disk, const char *name, size_t *len);
void log_dir_store(const struct log_dir *disk, const char *name, const void *bytes, size_t len);
void log_dir_poke(const struct log_dir *disk, const char *name, uint64_t offset, const void *bytes,
                  size_t len);
void log_dir_flip(const struct log_dir *disk, const char *name, uint64_t bit);
void log_dir_zero(const struct log_dir *disk, const char *name, uint64_t offset, size_t len);
void log_dir_truncate(const struct log_dir *disk, const char *name, uint64_t len);
void log_dir_unlink(const struct log_dir *disk, const char *name);
bool log_dir_has(const struct log_dir *disk, const char *name);

/* "wal-<number>.seg"; lives until the call after the next. */
const char *log_dir_segment(uint64_t number);

/* The header of a segment. */
struct wal_segment_head log_dir_head(const struct log_dir *disk, uint64_t number);

/* Writes a forged block into a segment. The payload is raw. */
void log_dir_forge(const struct log_dir *disk, uint64_t number, uint64_t offset,
                   struct wal_block_header header, const void *raw, size_t raw_bytes);

/* Fills len bytes with the contents of the records from first_lsn on. */
void log_dir_fill(unsigned char *raw, size_t len, uint64_t first_lsn, bool noise);

#endif
