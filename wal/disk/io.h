/* The table of file operations below the log: tests put a simulated disk in its place. */
#ifndef TALLY_WAL_DISK_IO_H
#define TALLY_WAL_DISK_IO_H

#include <stddef.h>
#include <stdint.h>

struct wal_io;

enum wal_open_mode {
    WAL_OPEN_READ,   /* must exist */
    WAL_OPEN_WRITE,  /* must exist; read and write */
    WAL_OPEN_CREATE, /* must not exist; read and write */
    WAL_OPEN_PAGES,  /* must exist; whole pages are written from page-aligned memory: past the page
                      * cache where the file system can, which saves a third of a commit's CPU */
};

/* The space of the directory's file system. */
struct wal_space {
    uint64_t free_bytes; /* that this process may use */
    uint64_t total_bytes;
};

/*
 * All return 0 (or a count of bytes, or a descriptor) or a negative errno value; open and lock
 * return -EMEDIUMTYPE for a file that is not regular, such as a link. A descriptor is a small
 * number that only this table understands. pread and pwrite may be short or return -EINTR; the
 * caller goes on. The caller never repeats a failed datasync or sync. Names are relative to the
 * directory. Threads: any, on different descriptors; on one descriptor only pread may run beside
 * another call.
 */
struct wal_io_ops {
    int (*open)(struct wal_io *io, const char *name, enum wal_open_mode mode);
    int (*close)(struct wal_io *io, int fd);
    int64_t (*pwrite)(struct wal_io *io, int fd, const void *from, size_t len, uint64_t offset);
    int64_t (*pread)(struct wal_io *io, int fd, void *into, size_t len, uint64_t offset);
    int64_t (*size)(struct wal_io *io, int fd);
    int (*datasync)(struct wal_io *io, int fd);
    int (*sync)(struct wal_io *io, int fd);
    int (*drop_cache)(struct wal_io *io, int fd); /* synced bytes are next read from the disk */
    int (*truncate)(struct wal_io *io, int fd, uint64_t len);
    int (*rename)(struct wal_io *io, const char *from, const char *to);
    int (*unlink)(struct wal_io *io, const char *name);
    int (*syncdir)(struct wal_io *io);
    int (*list)(struct wal_io *io, int (*each)(void *arg, const char *name), void *arg);
    int (*space)(struct wal_io *io, struct wal_space *space);
    int (*named)(struct wal_io *io, int fd, const char *name); /* -ENOENT: not by that name */
    int (*lock)(struct wal_io *io, const char *name);          /* -EWOULDBLOCK: another io has it */
    void (*random)(struct wal_io *io, void *into, size_t len); /* the log's uuid, the epochs */
    void (*destroy)(struct wal_io *io);
};

struct wal_io {
    const struct wal_io_ops *ops;
};

/*
 * The real file system, rooted at a directory. With create, the directory is made when missing
 * (mode 0700, its parent synced). Returns 0 or a negative errno value. Owns: *out is the caller's,
 * ended by ops->destroy, which also gives up the lock.
 */
int wal_file_io_new(struct wal_io **out, const char *dir, int create);

#endif
