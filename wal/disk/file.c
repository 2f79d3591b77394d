/* The real file system behind struct wal_io: every system call on files is in this file. */
#include "wal/disk/io.h"

#include "wal/base/check.h"
#include "wal/base/random.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct file_io {
    struct wal_io io; /* first: a struct wal_io * is cast to this */
    int dir_fd;
    int lock_fd; /* -1: not locked */
};

static struct file_io *file_io_of(struct wal_io *io)
{
    return (struct file_io *)io;
}

static int result_of(int returned)
{
    return returned < 0 ? -errno : returned;
}

/*
 * Another user may have made the directory's files. A link would lead our writes to another place,
 * an open of a FIFO would hang, and an open of a device may have any effect: so only regular files
 * are opened, under their own name. O_NONBLOCK has no effect on them.
 */
static int open_regular(int dir_fd, const char *name, int flags)
{
    struct stat stat;
    int fd = openat(dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
    if (fd < 0) {
        bool is_other = errno == ELOOP || errno == ENXIO || errno == EISDIR || errno == ENODEV;
        return is_other ? -EMEDIUMTYPE : -errno;
    }
    int err = fstat(fd, &stat) < 0 ? -errno : S_ISREG(stat.st_mode) ? 0 : -EMEDIUMTYPE;
    if (err != 0) {
        close(fd);
        return err;
    }
    return fd;
}

static int file_open(struct wal_io *io, const char *name, enum wal_open_mode mode)
{
    static const int flags[] = {
        [WAL_OPEN_READ] = O_RDONLY,
        [WAL_OPEN_WRITE] = O_RDWR,
        [WAL_OPEN_CREATE] = O_RDWR | O_CREAT | O_EXCL,
        [WAL_OPEN_PAGES] = O_RDWR | O_DIRECT,
    };
    /* names are made by wal_segment_name and the like, or come out of readdir */
    CHECK(strchr(name, '/') == NULL);
    int dir_fd = file_io_of(io)->dir_fd;
    int fd = open_regular(dir_fd, name, flags[mode]);
    if ((fd == -EINVAL || fd == -EOPNOTSUPP) && mode == WAL_OPEN_PAGES) {
        fd = open_regular(dir_fd, name, O_RDWR); /* the file system has no O_DIRECT */
    }
    return fd;
}

static int file_close(struct wal_io *io, int fd)
{
    (void)io;
    return result_of(close(fd));
}

static int64_t file_pwrite(struct wal_io *io, int fd, const void *from, size_t len, uint64_t offset)
{
    (void)io;
    ssize_t n = pwrite(fd, from, len, (off_t)offset);
    if (n < 0 && (errno == EINVAL || errno == EOPNOTSUPP) && (fcntl(fd, F_GETFL) & O_DIRECT) != 0) {
        /* the rest of a short write, or a disk with larger sectors: from now on this descriptor
         * writes through the page cache */
        n = fcntl(fd, F_SETFL, O_RDWR) < 0 ? -1 : pwrite(fd, from, len, (off_t)offset);
    }
    return n < 0 ? -errno : n;
}

static int64_t file_pread(struct wal_io *io, int fd, void *into, size_t len, uint64_t offset)
{
    (void)io;
    ssize_t n = pread(fd, into, len, (off_t)offset);
    return n < 0 ? -errno : n;
}

static int64_t file_size(struct wal_io *io, int fd)
{
    (void)io;
    struct stat stat;
    return fstat(fd, &stat) < 0 ? -errno : stat.st_size;
}

static int file_datasync(struct wal_io *io, int fd)
{
    (void)io;
    return result_of(fdatasync(fd));
}

static int file_sync(struct wal_io *io, int fd)
{
    (void)io;
    return result_of(fsync(fd));
}

/* Drops clean pages only, so the caller syncs first. The caller then reads from front to back, so
 * the kernel is told to read ahead. */
static int file_drop_cache(struct wal_io *io, int fd)
{
    (void)io;
    int err = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return -(err != 0 ? err : posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
}

static int file_truncate(struct wal_io *io, int fd, uint64_t len)
{
    (void)io;
    return result_of(ftruncate(fd, (off_t)len));
}

static int file_rename(struct wal_io *io, const char *from, const char *to)
{
    int dir_fd = file_io_of(io)->dir_fd;
    /* as in file_open */
    CHECK(strchr(from, '/') == NULL && strchr(to, '/') == NULL);
    return result_of(renameat(dir_fd, from, dir_fd, to));
}

static int file_unlink(struct wal_io *io, const char *name)
{
    /* names are made by wal_segment_name and the like, or come out of readdir */
    CHECK(strchr(name, '/') == NULL);
    return result_of(unlinkat(file_io_of(io)->dir_fd, name, 0));
}

static int file_syncdir(struct wal_io *io)
{
    return result_of(fsync(file_io_of(io)->dir_fd));
}

/* Calls each for every name. Ends when each returns nonzero, and returns that. */
static int list_entries(DIR *dir, int (*each)(void *arg, const char *name), void *arg)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            return -errno;
        }
        int err = each(arg, entry->d_name);
        if (err != 0) {
            return err;
        }
    }
}

static int file_list(struct wal_io *io, int (*each)(void *arg, const char *name), void *arg)
{
    int fd = openat(file_io_of(io)->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int err = -errno;
        close(fd);
        return err;
    }
    int err = list_entries(dir, each, arg);
    closedir(dir);
    return err;
}

static int file_space(struct wal_io *io, struct wal_space *space)
{
    struct statvfs stat;
    if (fstatvfs(file_io_of(io)->dir_fd, &stat) < 0) {
        return -errno;
    }
    *space = (struct wal_space){.free_bytes = (uint64_t)stat.f_bavail * stat.f_frsize,
                                .total_bytes = (uint64_t)stat.f_blocks * stat.f_frsize};
    return 0;
}

static int file_named(struct wal_io *io, int fd, const char *name)
{
    struct stat open;
    struct stat there;
    if (fstat(fd, &open) < 0 ||
        fstatat(file_io_of(io)->dir_fd, name, &there, AT_SYMLINK_NOFOLLOW) < 0) {
        return -errno;
    }
    return open.st_dev == there.st_dev && open.st_ino == there.st_ino ? 0 : -ENOENT;
}

/*
 * Locks the directory itself, too: somebody can remove the lock's file while a server runs, and a
 * second server could then make and lock a new one. Where a directory cannot be locked (NFS needs a
 * writable descriptor for that), the lock's file alone has to do.
 */
static int lock_dir(int dir_fd)
{
    return flock(dir_fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK ? -EWOULDBLOCK : 0;
}

static int file_lock(struct wal_io *io, const char *name)
{
    struct file_io *file = file_io_of(io);
    if (file->lock_fd >= 0) {
        return 0;
    }
    int err = lock_dir(file->dir_fd);
    int fd = err == 0 ? open_regular(file->dir_fd, name, O_RDWR | O_CREAT) : err;
    if (fd < 0) {
        return fd;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        err = -errno;
        close(fd);
        return err;
    }
    file->lock_fd = fd;
    return 0;
}

static void file_random(struct wal_io *io, void *into, size_t len)
{
    (void)io;
    random_fill(into, len);
}

static void file_destroy(struct wal_io *io)
{
    struct file_io *file = file_io_of(io);
    if (file->lock_fd >= 0) {
        close(file->lock_fd); /* gives up the file's lock; dir_fd's close that of the directory */
    }
    if (file->dir_fd >= 0) {
        close(file->dir_fd);
    }
    free(file);
}

static const struct wal_io_ops file_ops = {
    .open = file_open,
    .close = file_close,
    .pwrite = file_pwrite,
    .pread = file_pread,
    .size = file_size,
    .datasync = file_datasync,
    .sync = file_sync,
    .drop_cache = file_drop_cache,
    .truncate = file_truncate,
    .rename = file_rename,
    .unlink = file_unlink,
    .syncdir = file_syncdir,
    .list = file_list,
    .space = file_space,
    .named = file_named,
    .lock = file_lock,
    .random = file_random,
    .destroy = file_destroy,
};

/*
 * Syncs the parent: the directory's own entry must survive a crash, or all its files are lost. An
 * earlier run may have been killed between mkdir and this sync, so every start does it; only a
 * parent that we may not read, and that mkdir has not just changed, is passed over.
 */
static int sync_parent(int dir_fd, int made)
{
    int fd = openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return made ? -errno : 0;
    }
    int err = fsync(fd) < 0 && made ? -errno : 0;
    close(fd);
    return err;
}

static int open_dir(const char *dir, int create)
{
    int made = create && mkdir(dir, 0700) == 0;
    if (create && !made && errno != EEXIST) {
        return -errno;
    }
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        bool is_dangling = create && errno == ENOENT; /* mkdir found a link whose target is gone */
        return is_dangling ? -ENOTDIR : -errno;
    }
    int err = create ? sync_parent(fd, made) : 0;
    if (err != 0) {
        close(fd);
        return err;
    }
    return fd;
}

int wal_file_io_new(struct wal_io **out, const char *dir, int create)
{
    int dir_fd = open_dir(dir, create);
    if (dir_fd < 0) {
        return dir_fd;
    }
    struct file_io *file = malloc(sizeof(*file));
    if (file == NULL) {
        close(dir_fd);
        return -ENOMEM;
    }
    *file = (struct file_io){.io = {.ops = &file_ops}, .dir_fd = dir_fd, .lock_fd = -1};
    *out = &file->io;
    return 0;
}
