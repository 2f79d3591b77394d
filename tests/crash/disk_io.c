/* The calls of the simulated disk: the table that the log sees. */
#include "tests/crash/disk_io.h"

#include "tests/crash/disk_file.h"
#include "tests/lib/count.h"
#include "wal/base/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The fate of a call. */
enum { GO_ON = 0, CUT_SHORT = 1 }; /* or a negative errno value */

static struct disk *disk_of(struct wal_io *io)
{
    return (struct disk *)io;
}

static int strike(struct disk *disk, enum disk_call call)
{
    struct disk_fault *fault = &disk->fault;
    if (fault->countdown == 0 || (fault->only != 0 && (fault->only >> call & 1) == 0)) {
        return GO_ON;
    }
    if (--fault->countdown > 0) {
        return GO_ON;
    }
    fault->countdown = fault->stays ? 1 : fault->again;
    fault->again = 0;
    if (fault->err == 0 && call != DISK_PREAD && call != DISK_PWRITE) {
        return GO_ON;
    }
    if (disk->hits != NULL && !fault->hit) {
        *disk->hits |= 1U << call;
    }
    fault->hit = true;
    disk->faults++;
    return fault->err == 0 ? CUT_SHORT : fault->err;
}

/* Begins a call, and takes the lock. */
static int enter(struct disk *disk, enum disk_call call)
{
    if (disk->point != NULL) {
        disk->point();
    }
    pthread_mutex_lock(&disk->lock);
    disk->is_busy = true;
    disk->is_off = disk->is_off || (disk->off_at != 0 && disk->calls >= disk->off_at);
    if (disk->before != NULL && !disk->is_off) {
        disk->before(disk->before_arg, disk, call);
    }
    disk->calls++;
    disk->by_call[call]++;
    return disk->is_off ? -EIO : strike(disk, call);
}

static int leave(struct disk *disk, int result)
{
    disk->is_busy = false;
    pthread_mutex_unlock(&disk->lock);
    return result;
}

static int64_t leave_long(struct disk *disk, int64_t result)
{
    disk->is_busy = false;
    pthread_mutex_unlock(&disk->lock);
    return result;
}

static struct disk_file *file_of(struct disk *disk, int fd)
{
    CHECK(fd >= 0 && fd < DISK_FDS_MAX && disk->fds[fd] != NULL);
    return disk->fds[fd];
}

/* REQUIRES: the lock. */
static int fd_new(struct disk *disk, struct disk_file *file)
{
    for (int fd = 0; fd < DISK_FDS_MAX; fd++) {
        if (disk->fds[fd] == NULL) {
            disk->fds[fd] = disk_file_ref(file);
            return fd;
        }
    }
    return -EMFILE;
}

static int create(struct disk *disk, const char *name)
{
    struct disk_op op = {.kind = DISK_OP_CREATE, .file = disk_file_new()};
    snprintf(op.name, sizeof(op.name), "%s", name);
    disk_op_add(disk, &op);
    disk->changes++;
    int fd = fd_new(disk, op.file);
    disk_file_unref(op.file);
    return fd;
}

static int disk_open(struct wal_io *io, const char *name, enum wal_open_mode mode)
{
    struct disk *disk = disk_of(io);
    int err = enter(disk, DISK_OPEN);
    if (err < 0) {
        return leave(disk, err);
    }
    const struct disk_name *entry = disk_dir_find(&disk->dir, name);
    if (mode == WAL_OPEN_CREATE) {
        return leave(disk, entry != NULL ? -EEXIST : create(disk, name));
    }
    return leave(disk, entry == NULL ? -ENOENT : fd_new(disk, entry->file));
}

static int disk_close(struct wal_io *io, int fd)
{
    struct disk *disk = disk_of(io);
    int err = enter(disk, DISK_CLOSE);
    disk_file_unref(file_of(disk, fd));
    disk->fds[fd] = NULL;
    return leave(disk, err);
}

/* The part of the write for which the disk has space. */
static size_t room_for(const struct disk *disk, const struct disk_file *file, size_t len,
                       uint64_t offset)
{
    uint64_t used = 0;
    if (disk->space_bytes == 0 || offset + len <= file->size) {
        return len;
    }
    for (size_t i = 0; i < disk->dir.count; i++) {
        used += disk->dir.names[i].file->size;
    }
    uint64_t left = disk->space_bytes > used ? disk->space_bytes - used : 0;
    uint64_t room = left + (file->size > offset ? file->size - offset : 0);
    return room < len ? (size_t)room : len;
}

/* Returns how many bytes are transferred, 0 for an interruption. */
static size_t stutter(struct disk *disk, size_t len, int how)
{
    if (how == CUT_SHORT) {
        return len > 1 ? len / 2 : len;
    }
    if ((disk->habits & DISK_STUTTERS) == 0) {
        return len;
    }
    switch (seed_below(&disk->seed, 4)) {
    case 0:
        return 0;
    case 1:
        return 1 + (size_t)seed_below(&disk->seed, len);
    default:
        return len;
    }
}

static int64_t disk_pwrite(struct wal_io *io, int fd, const void *from, size_t len, uint64_t offset)
{
    struct disk *disk = disk_of(io);
    int how = enter(disk, DISK_PWRITE);
    struct disk_file *file = file_of(disk, fd);
    if (how < 0 && how != -EIO) {
        return leave_long(disk, how);
    }
    size_t now =
        how == -EIO ? len / 2 : stutter(disk, len, how); /* a failed call may be half done */
    if (disk->is_off || (now == 0 && how == GO_ON)) {
        return leave_long(disk, disk->is_off ? -EIO : -EINTR);
    }
    now = room_for(disk, file, now, offset);
    if (now > 0) {
        disk_file_write(file, from, now, offset);
        disk->changes++;
    }
    return leave_long(disk, how == -EIO ? -EIO : now == 0 ? -ENOSPC : (int64_t)now);
}

static int64_t disk_pread(struct wal_io *io, int fd, void *into, size_t len, uint64_t offset)
{
    struct disk *disk = disk_of(io);
    int how = enter(disk, DISK_PREAD);
    if (how < 0) {
        return leave_long(disk, how);
    }
    size_t now = len;
    if (offset < file_of(disk, fd)->size) { /* a short read is not the end of the file */
        uint64_t left = file_of(disk, fd)->size - offset;
        now = stutter(disk, left < len ? (size_t)left : len, how);
    }
    if (now == 0) {
        return leave_long(disk, -EINTR);
    }
    return leave_long(disk, (int64_t)disk_file_read(file_of(disk, fd), into, now, offset));
}

static int64_t disk_size(struct wal_io *io, int fd)
{
    struct disk *disk = disk_of(io);
    int err = enter(disk, DISK_SIZE);
    return leave_long(disk, err < 0 ? err : (int64_t)file_of(disk, fd)->size);
}

static int sync_file(struct disk *disk, int fd, enum disk_call call)
{
    int err = enter(disk, call);
    if (disk->is_off) {
        return leave(disk, -EIO);
    }
    disk->changes++;
    if (err < 0) {
        disk_file_forget(file_of(disk, fd), &disk->seed);
    } else {
        disk_file_sync(file_of(disk, fd));
    }
    return leave(disk, err < 0 ? err : 0);
}

static int disk_datasync(struct wal_io *io, int fd)
{
    return sync_file(disk_of(io), fd, DISK_DATASYNC);
}

static int disk_sync(struct wal_io *io, int fd)
{
    return sync_file(disk_of(io), fd, DISK_SYNC);
}

static int disk_drop_cache(struct wal_io *io, int fd)
{
    struct disk *disk = disk_of(io);
    int err = enter(disk, DISK_DROP_CACHE);
    if (err >= 0) {
        disk_file_drop_cache(file_of(disk, fd));
    }
    return leave(disk, err < 0 ? err : 0);
}

static int disk_truncate(struct wal_io *io, int fd, uint64_t len)
{
    struct disk *disk = disk_of(io);
    int err = enter(disk, DISK_TRUNCATE);
    if (err >= 0) {
        disk_file_truncate(file_of(disk, fd), len);
        disk->changes++;
    }
    return leave(disk, err < 0 ? err : 0);
}

static int op_do(struct disk *disk, struct disk_op *op, const char *of)
{
    struct disk_name *entry = disk_dir_find(&disk->dir, of);
    if (entry == NULL) {
        return -ENOENT;
    }
    op->file = op->kind == DISK_OP_UNLINK ? NULL : entry->file;
    disk_op_add(disk, op);
    disk->changes++;
    return 0;
}

static int disk_rename_call(struct wal_io *io, const char *from, const char *to)
{
    struct disk *disk = disk_of(io);
    struct disk_op op = {.kind = DISK_OP_RENAME};
    int err = enter(disk, DISK_RENAME);
    snprintf(op.from, sizeof(op.from), "%s", from);
    snprintf(op.name, sizeof(op.name), "%s", to);
    return leave(disk, err < 0 ? err : op_do(disk, &op, from));
}

static int disk_unlink(struct wal_io *io, const char *name)
{
    struct disk *disk = disk_of(io);
    struct disk_op op = {.kind = DISK_OP_UNLINK};
    int err = enter(disk, DISK_UNLINK);
    snprintf(op.name, sizeof(op.name), "%s", name);
    return leave(disk, err < 0 ? err : op_do(disk, &op, name));
}

static int disk_syncdir(struct wal_io *io)
{
    struct disk *disk = disk_of(io);
    int err = enter(disk, DISK_SYNCDIR);
    if (err >= 0) {
        disk_ops_sync(disk);
        disk->changes++;
    }
    return leave(disk, err < 0 ? err : 0);
}

/* `each` may unlink the file that it is shown, so the list is made first. */
static int disk_list(struct wal_io *io, int (*each)(void *arg, const char *name), void *arg)
{
    char names[512][DISK_NAME_BYTES]; /* of this call: another fiber may list meanwhile */
    struct disk *disk = disk_of(io);
    int err = enter(disk, DISK_LIST);
    size_t count = disk->dir.count;
    CHECK(count <= COUNT_OF(names));
    for (size_t i = 0; i < count; i++) {
        memcpy(names[i], disk->dir.names[i].name, DISK_NAME_BYTES);
    }
    leave(disk, 0);
    for (size_t i = 0; err >= 0 && i < count; i++) {
        int told = each(arg, names[i]);
        if (told != 0) {
            return told;
        }
    }
    return err < 0 ? err : 0;
}

static int disk_lock(struct wal_io *io, const char *name)
{
    struct disk *disk = disk_of(io);
    int err = enter(disk, DISK_LOCK);
    (void)name;
    return leave(disk, err < 0 ? err : 0);
}

static void disk_random(struct wal_io *io, void *into, size_t len)
{
    struct disk *disk = disk_of(io);
    pthread_mutex_lock(&disk->lock);
    seed_fill(seed_next(&disk->seed), into, len);
    pthread_mutex_unlock(&disk->lock);
}

static void disk_destroy(struct wal_io *io)
{
    disk_kill(disk_of(io));
}

/* Returns enough space for everything, unless a fault says otherwise. */
static int disk_space(struct wal_io *io, struct wal_space *space)
{
    (void)io;
    *space = (struct wal_space){.free_bytes = (uint64_t)1 << 40, .total_bytes = (uint64_t)1 << 40};
    return 0;
}

static int disk_named(struct wal_io *io, int fd, const char *name)
{
    struct disk *disk = disk_of(io);
    pthread_mutex_lock(&disk->lock);
    const struct disk_name *entry = disk_dir_find(&disk->dir, name);
    bool is_it = entry != NULL && entry->file == file_of(disk, fd);
    pthread_mutex_unlock(&disk->lock);
    return is_it ? 0 : -ENOENT;
}

const struct wal_io_ops disk_io_ops = {
    .open = disk_open,
    .close = disk_close,
    .pwrite = disk_pwrite,
    .pread = disk_pread,
    .size = disk_size,
    .datasync = disk_datasync,
    .sync = disk_sync,
    .drop_cache = disk_drop_cache,
    .truncate = disk_truncate,
    .rename = disk_rename_call,
    .unlink = disk_unlink,
    .syncdir = disk_syncdir,
    .list = disk_list,
    .space = disk_space,
    .named = disk_named,
    .lock = disk_lock,
    .random = disk_random,
    .destroy = disk_destroy,
};
