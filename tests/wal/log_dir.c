/* A directory with a log for one test: to open, fill, kill, damage and read it. */
#include "tests/wal/log_dir.h"

#include "tests/lib/expect.h"
#include "tests/lib/files.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RAW_BYTES_MAX (4U << 20)

void log_dir_init(struct log_dir *disk)
{
    *disk = (struct log_dir){.segment_bytes = WAL_SEGMENT_BYTES_MIN};
    files_temp_dir(disk->path, sizeof(disk->path));
}

/* The result lives until the next call. */
static const char *path_of(const struct log_dir *disk, const char *name)
{
    static char path[sizeof(disk->path) + NAME_MAX + 1];
    snprintf(path, sizeof(path), "%s/%s", disk->path, name);
    return path;
}

void log_dir_fini(struct log_dir *disk)
{
    log_dir_kill(disk);
    EXPECT(files_remove_tree(disk->path), "%s is still there", disk->path);
}

void log_dir_fill(unsigned char *raw, size_t len, uint64_t first_lsn, bool noise)
{
    uint64_t x = first_lsn * 0x9e3779b97f4a7c15U + 1;
    raw[0] = noise;
    for (size_t i = 1; i < len; i++) {
        if (noise || i % 64 == 0) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        raw[i] = (unsigned char)(x >> 32);
    }
}

int log_dir_check_block(void *arg, const struct wal_block *block)
{
    uint64_t *next_lsn = arg;
    cr_assert_eq(block->first_lsn, *next_lsn);
    *next_lsn += block->count;
    if (block->raw_bytes > 0) {
        unsigned char *wanted = malloc(block->raw_bytes);
        const unsigned char *raw = block->raw;
        log_dir_fill(wanted, block->raw_bytes, block->first_lsn, raw[0]);
        cr_assert(memcmp(wanted, raw, block->raw_bytes) == 0, "record %llu is not what it was",
                  (unsigned long long)block->first_lsn);
        free(wanted);
    }
    return 0;
}

static void io_make(struct log_dir *disk)
{
    if (disk->io == NULL) {
        cr_assert_eq(wal_file_io_new(&disk->io, disk->path, 1), 0);
    }
}

int log_dir_open(struct log_dir *disk)
{
    uint64_t next_lsn = 1;
    io_make(disk);
    struct wal_options options = {.io = disk->io,
                                  .segment_bytes = disk->segment_bytes,
                                  .janitor = disk->janitor,
                                  .on_trouble = disk->on_trouble};
    int err = wal_open(&disk->wal, &options, log_dir_check_block, &next_lsn, &disk->report);
    if (err == 0) {
        cr_assert_eq(disk->report.next_lsn, next_lsn);
        cr_assert_eq(wal_next_lsn(disk->wal), next_lsn);
        cr_assert_eq(disk->report.records, next_lsn - 1);
    } else {
        disk->wal = NULL;
    }
    return err;
}

int log_dir_read(struct log_dir *disk)
{
    uint64_t next_lsn = 1;
    io_make(disk);
    return wal_reader_once(disk->io, log_dir_check_block, &next_lsn, &disk->report);
}

int log_dir_append(struct log_dir *disk, uint32_t count, size_t each, bool noise)
{
    static unsigned char raw[RAW_BYTES_MAX];
    cr_assert(count * each <= sizeof(raw));
    log_dir_fill(raw, count * each, wal_next_lsn(disk->wal), noise);
    return wal_append(disk->wal, count, raw, count * each);
}

void log_dir_must_append(struct log_dir *disk, uint32_t count)
{
    int err = log_dir_append(disk, count, 20, false);
    cr_assert_eq(err, 0, "append: %d %s", err, wal_why(disk->wal));
}

void log_dir_append_all_kinds(struct log_dir *disk, uint32_t blocks, _Atomic uint64_t *acknowledged)
{
    int err = 0;
    for (uint32_t i = 0; i < blocks && err == 0; i++) {
        err = log_dir_append(disk, 1 + i % 3, 20 + i % 5000, i % 2);
        if (err == 0 && i % 7 == 0) {
            err = wal_confirm(disk->wal);
        }
        if (err == 0 && acknowledged != NULL) {
            atomic_store_explicit(acknowledged, wal_next_lsn(disk->wal) - 1, memory_order_release);
        }
    }
}

void log_dir_kill(struct log_dir *disk)
{
    if (disk->wal != NULL) {
        wal_close(disk->wal, false);
        disk->wal = NULL;
    }
    if (disk->io != NULL) {
        disk->io->ops->destroy(disk->io);
        disk->io = NULL;
    }
}

void log_dir_close_clean(struct log_dir *disk)
{
    cr_assert_eq(wal_close(disk->wal, true), 0);
    disk->wal = NULL;
    log_dir_kill(disk);
}

void log_dir_copy(const struct log_dir *from, struct log_dir *to)
{
    log_dir_init(to);
    to->segment_bytes = from->segment_bytes;
    DIR *dir = opendir(from->path);
    EXPECT(dir != NULL, "%s is gone", from->path);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.') {
            size_t len;
            unsigned char *bytes = log_dir_load(from, entry->d_name, &len);
            log_dir_store(to, entry->d_name, bytes, len);
            free(bytes);
        }
    }
    closedir(dir);
}

unsigned char *log_dir_load(const struct log_dir *disk, const char *name, size_t *len)
{
    char *bytes = files_read(path_of(disk, name), len);
    EXPECT(bytes != NULL, "no file %s", name);
    return (unsigned char *)bytes;
}

void log_dir_store(const struct log_dir *disk, const char *name, const void *bytes, size_t len)
{
    files_write(path_of(disk, name), bytes, len);
}

static int open_file(const struct log_dir *disk, const char *name)
{
    int fd = open(path_of(disk, name), O_RDWR | O_CLOEXEC);
    EXPECT(fd >= 0, "no file %s", name);
    return fd;
}

void log_dir_poke(const struct log_dir *disk, const char *name, uint64_t offset, const void *bytes,
                  size_t len)
{
    int fd = open_file(disk, name);
    EXPECT(pwrite(fd, bytes, len, (off_t)offset) == (ssize_t)len, "%s: %m", name);
    close(fd);
}

void log_dir_flip(const struct log_dir *disk, const char *name, uint64_t bit)
{
    unsigned char byte;
    int fd = open_file(disk, name);
    EXPECT(pread(fd, &byte, 1, (off_t)(bit / 8)) == 1, "%s: %m", name);
    byte ^= (unsigned char)(1U << bit % 8);
    EXPECT(pwrite(fd, &byte, 1, (off_t)(bit / 8)) == 1, "%s: %m", name);
    close(fd);
}

void log_dir_zero(const struct log_dir *disk, const char *name, uint64_t offset, size_t len)
{
    unsigned char *zeros = calloc(1, len);
    log_dir_poke(disk, name, offset, zeros, len);
    free(zeros);
}

void log_dir_truncate(const struct log_dir *disk, const char *name, uint64_t len)
{
    EXPECT(truncate(path_of(disk, name), (off_t)len) == 0, "%s: %m", name);
}

void log_dir_unlink(const struct log_dir *disk, const char *name)
{
    EXPECT(unlink(path_of(disk, name)) == 0, "cannot remove %s: %m", name);
}

bool log_dir_has(const struct log_dir *disk, const char *name)
{
    return access(path_of(disk, name), F_OK) == 0;
}

const char *log_dir_segment(uint64_t number)
{
    static char names[2][WAL_NAME_BYTES];
    static int turn;
    turn = !turn;
    wal_segment_name(names[turn], number);
    return names[turn];
}

struct wal_segment_head log_dir_head(const struct log_dir *disk, uint64_t number)
{
    struct wal_segment_head head;
    size_t len;
    unsigned char *bytes = log_dir_load(disk, log_dir_segment(number), &len);
    cr_assert(len >= WAL_PAGE_BYTES);
    cr_assert_eq(wal_segment_head_get(bytes, &head), WAL_HEAD_OK);
    free(bytes);
    return head;
}

void log_dir_forge(const struct log_dir *disk, uint64_t number, uint64_t offset,
                   struct wal_block_header header, const void *raw, size_t raw_bytes)
{
    struct wal_segment_head head = log_dir_head(disk, number);
    unsigned char *block = malloc(wal_block_bytes(raw_bytes));
    size_t bytes = wal_block_pack(block, &header, raw, raw_bytes);
    wal_block_sign(block, &header, wal_block_seed(&head, offset));
    log_dir_poke(disk, log_dir_segment(number), offset, block, bytes);
    free(block);
}
