/* A directory with a log for one test: opened, filled, killed, damaged, looked at. */
#include "tests/wal/disk.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RAW_BYTES_MAX (4U << 20)

void disk_init(struct disk *disk)
{
    const char *tmp = getenv("TMPDIR");
    *disk = (struct disk){.segment_bytes = WAL_SEGMENT_BYTES_MIN};
    snprintf(disk->path, sizeof(disk->path), "%.80s/tally-wal-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    cr_assert_not_null(mkdtemp(disk->path));
}

static int dir_of(const struct disk *disk)
{
    int fd = open(disk->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert(fd >= 0, "%s is gone", disk->path);
    return fd;
}

static int file_of(const struct disk *disk, const char *name, int flags)
{
    int dir = dir_of(disk);
    int fd = openat(dir, name, flags | O_CLOEXEC, 0600);
    close(dir);
    return fd;
}

/* Calls each for every file. */
static void each_file(const struct disk *disk, void (*each)(void *arg, const char *name), void *arg)
{
    DIR *dir = opendir(disk->path);
    cr_assert_not_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.') {
            each(arg, entry->d_name);
        }
    }
    closedir(dir);
}

static void unlink_each(void *arg, const char *name)
{
    disk_unlink(arg, name);
}

void disk_fini(struct disk *disk)
{
    disk_kill(disk);
    each_file(disk, unlink_each, disk);
    cr_expect(rmdir(disk->path) == 0, "%s is not empty", disk->path);
}

void disk_fill(unsigned char *raw, size_t len, uint64_t first_lsn, bool noise)
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

int disk_check_block(void *arg, const struct wal_block *block)
{
    uint64_t *next_lsn = arg;
    cr_assert_eq(block->first_lsn, *next_lsn);
    *next_lsn += block->count;
    if (block->raw_bytes > 0) {
        unsigned char *wanted = malloc(block->raw_bytes);
        const unsigned char *raw = block->raw;
        disk_fill(wanted, block->raw_bytes, block->first_lsn, raw[0]);
        cr_assert(memcmp(wanted, raw, block->raw_bytes) == 0, "record %llu is not what it was",
                  (unsigned long long)block->first_lsn);
        free(wanted);
    }
    return 0;
}

static void io_make(struct disk *disk)
{
    if (disk->io == NULL) {
        cr_assert_eq(wal_file_io_new(&disk->io, disk->path, 1), 0);
    }
}

int disk_open(struct disk *disk)
{
    uint64_t next_lsn = 1;
    io_make(disk);
    struct wal_options options = {.io = disk->io,
                                  .segment_bytes = disk->segment_bytes,
                                  .janitor = disk->janitor,
                                  .on_trouble = disk->on_trouble};
    int err = wal_open(&disk->wal, &options, disk_check_block, &next_lsn, &disk->report);
    if (err == 0) {
        cr_assert_eq(disk->report.next_lsn, next_lsn);
        cr_assert_eq(wal_next_lsn(disk->wal), next_lsn);
        cr_assert_eq(disk->report.records, next_lsn - 1);
    } else {
        disk->wal = NULL;
    }
    return err;
}

int disk_read(struct disk *disk)
{
    uint64_t next_lsn = 1;
    io_make(disk);
    return wal_read(disk->io, disk_check_block, &next_lsn, &disk->report);
}

int disk_append(struct disk *disk, uint32_t count, size_t each, bool noise)
{
    static unsigned char raw[RAW_BYTES_MAX];
    cr_assert(count * each <= sizeof(raw));
    disk_fill(raw, count * each, wal_next_lsn(disk->wal), noise);
    return wal_append(disk->wal, count, raw, count * each);
}

void disk_must_append(struct disk *disk, uint32_t count)
{
    int err = disk_append(disk, count, 20, false);
    cr_assert_eq(err, 0, "append: %d %s", err, wal_why(disk->wal));
}

void disk_append_all_kinds(struct disk *disk, uint32_t blocks, _Atomic uint64_t *acknowledged)
{
    int err = 0;
    for (uint32_t i = 0; i < blocks && err == 0; i++) {
        err = disk_append(disk, 1 + i % 3, 20 + i % 5000, i % 2);
        if (err == 0 && i % 7 == 0) {
            err = wal_confirm(disk->wal);
        }
        if (err == 0 && acknowledged != NULL) {
            atomic_store_explicit(acknowledged, wal_next_lsn(disk->wal) - 1, memory_order_release);
        }
    }
}

void disk_kill(struct disk *disk)
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

void disk_close_clean(struct disk *disk)
{
    cr_assert_eq(wal_close(disk->wal, true), 0);
    disk->wal = NULL;
    disk_kill(disk);
}

struct copying {
    const struct disk *from;
    struct disk *to;
};

static void copy_each(void *arg, const char *name)
{
    struct copying *copying = arg;
    size_t len;
    unsigned char *bytes = disk_load(copying->from, name, &len);
    disk_store(copying->to, name, bytes, len);
    free(bytes);
}

void disk_copy(const struct disk *from, struct disk *to)
{
    struct copying copying = {from, to};
    disk_init(to);
    to->segment_bytes = from->segment_bytes;
    each_file(from, copy_each, &copying);
}

unsigned char *disk_load(const struct disk *disk, const char *name, size_t *len)
{
    int fd = file_of(disk, name, O_RDONLY);
    cr_assert(fd >= 0, "no file %s", name);
    struct stat stat;
    fstat(fd, &stat);
    *len = (size_t)stat.st_size;
    unsigned char *bytes = malloc(*len + 1);
    cr_assert_eq(pread(fd, bytes, *len, 0), (ssize_t)*len);
    close(fd);
    return bytes;
}

void disk_store(const struct disk *disk, const char *name, const void *bytes, size_t len)
{
    int fd = file_of(disk, name, O_RDWR | O_CREAT | O_TRUNC);
    cr_assert(fd >= 0);
    cr_assert_eq(pwrite(fd, bytes, len, 0), (ssize_t)len);
    close(fd);
}

void disk_poke(const struct disk *disk, const char *name, uint64_t offset, const void *bytes,
               size_t len)
{
    int fd = file_of(disk, name, O_RDWR);
    cr_assert(fd >= 0, "no file %s", name);
    cr_assert_eq(pwrite(fd, bytes, len, (off_t)offset), (ssize_t)len);
    close(fd);
}

void disk_flip(const struct disk *disk, const char *name, uint64_t bit)
{
    unsigned char byte;
    int fd = file_of(disk, name, O_RDWR);
    cr_assert(fd >= 0, "no file %s", name);
    cr_assert_eq(pread(fd, &byte, 1, (off_t)(bit / 8)), 1);
    byte ^= (unsigned char)(1U << bit % 8);
    cr_assert_eq(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
    close(fd);
}

void disk_zero(const struct disk *disk, const char *name, uint64_t offset, size_t len)
{
    unsigned char *zeros = calloc(1, len);
    disk_poke(disk, name, offset, zeros, len);
    free(zeros);
}

void disk_truncate(const struct disk *disk, const char *name, uint64_t len)
{
    int fd = file_of(disk, name, O_RDWR);
    cr_assert(fd >= 0, "no file %s", name);
    cr_assert_eq(ftruncate(fd, (off_t)len), 0);
    close(fd);
}

void disk_unlink(const struct disk *disk, const char *name)
{
    int dir = dir_of(disk);
    cr_assert_eq(unlinkat(dir, name, 0), 0, "cannot remove %s", name);
    close(dir);
}

bool disk_has(const struct disk *disk, const char *name)
{
    int fd = file_of(disk, name, O_RDONLY);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

const char *disk_segment(uint64_t number)
{
    static char names[2][WAL_NAME_BYTES];
    static int turn;
    turn = !turn;
    wal_segment_name(names[turn], number);
    return names[turn];
}

struct wal_segment_head disk_head(const struct disk *disk, uint64_t number)
{
    struct wal_segment_head head;
    size_t len;
    unsigned char *bytes = disk_load(disk, disk_segment(number), &len);
    cr_assert(len >= WAL_PAGE_BYTES);
    cr_assert_eq(wal_segment_head_get(bytes, &head), WAL_HEAD_OK);
    free(bytes);
    return head;
}

void disk_forge(const struct disk *disk, uint64_t number, uint64_t offset,
                struct wal_block_header header, const void *raw, size_t raw_bytes)
{
    struct wal_segment_head head = disk_head(disk, number);
    unsigned char *block = malloc(wal_block_bytes(raw_bytes));
    size_t bytes = wal_block_pack(block, &header, raw, raw_bytes);
    wal_block_sign(block, &header, wal_block_seed(&head, offset));
    disk_poke(disk, disk_segment(number), offset, block, bytes);
    free(block);
}
