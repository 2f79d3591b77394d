/* A struct wal_io on top of another one: it lets calls fail, shortens or counts them. */
#include "tests/wal/fault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STUTTER_BYTES 1000

static struct fault_io *fault_of(struct wal_io *io)
{
    return (struct fault_io *)io;
}

static bool ends_in(const char *name, const char *ending)
{
    size_t len = strlen(name);
    size_t ending_len = strlen(ending);
    return len > ending_len && strcmp(name + len - ending_len, ending) == 0;
}

/* Whether the fault is for a file of that name. REQUIRES: the lock is held. */
static bool is_meant(const struct fault_io *fault, const char *name)
{
    return (!fault->temp_only || ends_in(name, ".tmp")) &&
           (!fault->pack_only || ends_in(name, ".pack"));
}

/* Returns 0, or the error with which the call is to fail. */
static int strike(struct fault_io *fault, enum fault_call call, const char *name)
{
    int err = 0;
    pthread_mutex_lock(&fault->lock);
    fault->calls[call]++;
    if (call == fault->call && fault->times != 0 && is_meant(fault, name)) {
        if (fault->after > 0) {
            fault->after--;
        } else {
            err = fault->err;
            fault->times -= fault->times > 0;
            fault->faults++;
            pthread_cond_broadcast(&fault->failed);
        }
    }
    pthread_mutex_unlock(&fault->lock);
    return err;
}

/* As strike, for an open file. */
static int strike_fd(struct fault_io *fault, enum fault_call call, int fd)
{
    char name[sizeof(fault->names[0])];
    pthread_mutex_lock(&fault->lock);
    memcpy(name, fault->names[fd], sizeof(name));
    pthread_mutex_unlock(&fault->lock);
    return strike(fault, call, name);
}

/* Gives an open file its new name. */
static void name_change(struct fault_io *fault, const char *from, const char *to)
{
    pthread_mutex_lock(&fault->lock);
    for (size_t fd = 0; fd < sizeof(fault->names) / sizeof(fault->names[0]); fd++) {
        if (strcmp(fault->names[fd], from) == 0) {
            snprintf(fault->names[fd], sizeof(fault->names[fd]), "%s", to);
        }
    }
    pthread_mutex_unlock(&fault->lock);
}

/* Returns the bytes to transfer, or 0 for an interruption. */
static size_t stutter(struct fault_io *fault, size_t len)
{
    if (!fault->stutter) {
        return len;
    }
    pthread_mutex_lock(&fault->lock);
    fault->turn = !fault->turn;
    size_t now = fault->turn ? 0 : len < STUTTER_BYTES ? len : STUTTER_BYTES;
    pthread_mutex_unlock(&fault->lock);
    return now;
}

static int fault_open(struct wal_io *io, const char *name, enum wal_open_mode mode)
{
    struct fault_io *fault = fault_of(io);
    int err = strike(fault, FAULT_OPEN, name);
    int fd = err != 0 ? err : fault->real->ops->open(fault->real, name, mode);
    if (fd >= 0) {
        pthread_mutex_lock(&fault->lock);
        snprintf(fault->names[fd], sizeof(fault->names[fd]), "%s", name);
        pthread_mutex_unlock(&fault->lock);
    }
    return fd;
}

static int fault_close(struct wal_io *io, int fd)
{
    struct fault_io *fault = fault_of(io);
    return fault->real->ops->close(fault->real, fd);
}

static int64_t fault_pwrite(struct wal_io *io, int fd, const void *from, size_t len,
                            uint64_t offset)
{
    struct fault_io *fault = fault_of(io);
    int err = strike_fd(fault, FAULT_PWRITE, fd);
    size_t now = stutter(fault, len);
    if (err != 0 || now == 0) {
        return err != 0 ? err : -EINTR;
    }
    return fault->real->ops->pwrite(fault->real, fd, from, now, offset);
}

/* Puts a wrong byte into the bytes read. */
static void garble(struct fault_io *fault, int fd, unsigned char *bytes, int64_t len)
{
    pthread_mutex_lock(&fault->lock);
    if (fault->garble > 0 && len > 0 && ends_in(fault->names[fd], ".pack")) {
        fault->garble--;
        if (fault->garble == 0) {
            bytes[len / 2] ^= 1;
            fault->faults++;
        }
    }
    pthread_mutex_unlock(&fault->lock);
}

static int64_t fault_pread(struct wal_io *io, int fd, void *into, size_t len, uint64_t offset)
{
    struct fault_io *fault = fault_of(io);
    int err = strike_fd(fault, FAULT_PREAD, fd);
    size_t now = stutter(fault, len);
    if (err != 0 || now == 0) {
        return err != 0 ? err : -EINTR;
    }
    int64_t n = fault->real->ops->pread(fault->real, fd, into, now, offset);
    garble(fault, fd, into, n);
    return n;
}

static int64_t fault_size(struct wal_io *io, int fd)
{
    struct fault_io *fault = fault_of(io);
    return fault->real->ops->size(fault->real, fd);
}

static int fault_datasync(struct wal_io *io, int fd)
{
    struct fault_io *fault = fault_of(io);
    int err = strike_fd(fault, FAULT_DATASYNC, fd);
    return err != 0 ? err : fault->real->ops->datasync(fault->real, fd);
}

static int fault_sync(struct wal_io *io, int fd)
{
    struct fault_io *fault = fault_of(io);
    int err = strike_fd(fault, FAULT_SYNC, fd);
    return err != 0 ? err : fault->real->ops->sync(fault->real, fd);
}

static int fault_drop_cache(struct wal_io *io, int fd)
{
    struct fault_io *fault = fault_of(io);
    int err = strike_fd(fault, FAULT_DROP_CACHE, fd);
    return err != 0 ? err : fault->real->ops->drop_cache(fault->real, fd);
}

static int fault_truncate(struct wal_io *io, int fd, uint64_t len)
{
    struct fault_io *fault = fault_of(io);
    int err = strike_fd(fault, FAULT_TRUNCATE, fd);
    return err != 0 ? err : fault->real->ops->truncate(fault->real, fd, len);
}

static int fault_rename(struct wal_io *io, const char *from, const char *to)
{
    struct fault_io *fault = fault_of(io);
    int err = strike(fault, FAULT_RENAME, from);
    if (err == 0) {
        err = fault->real->ops->rename(fault->real, from, to);
    }
    if (err == 0) {
        name_change(fault, from, to);
    }
    return err;
}

static int fault_unlink(struct wal_io *io, const char *name)
{
    struct fault_io *fault = fault_of(io);
    int err = strike(fault, FAULT_UNLINK, name);
    return err != 0 ? err : fault->real->ops->unlink(fault->real, name);
}

static int fault_syncdir(struct wal_io *io)
{
    struct fault_io *fault = fault_of(io);
    int err = strike(fault, FAULT_SYNCDIR, "");
    return err != 0 ? err : fault->real->ops->syncdir(fault->real);
}

static int fault_list(struct wal_io *io, int (*each)(void *arg, const char *name), void *arg)
{
    struct fault_io *fault = fault_of(io);
    int err = strike(fault, FAULT_LIST, "");
    return err != 0 ? err : fault->real->ops->list(fault->real, each, arg);
}

static int fault_lock(struct wal_io *io, const char *name)
{
    struct fault_io *fault = fault_of(io);
    int err = strike(fault, FAULT_LOCK, "");
    return err != 0 ? err : fault->real->ops->lock(fault->real, name);
}

static void fault_random(struct wal_io *io, void *into, size_t len)
{
    struct fault_io *fault = fault_of(io);
    fault->real->ops->random(fault->real, into, len);
}

static int fault_space(struct wal_io *io, struct wal_space *space)
{
    return fault_of(io)->real->ops->space(fault_of(io)->real, space);
}

static int fault_named(struct wal_io *io, int fd, const char *name)
{
    return fault_of(io)->real->ops->named(fault_of(io)->real, fd, name);
}

static const struct wal_io_ops fault_ops = {
    .open = fault_open,
    .close = fault_close,
    .pwrite = fault_pwrite,
    .pread = fault_pread,
    .size = fault_size,
    .datasync = fault_datasync,
    .sync = fault_sync,
    .drop_cache = fault_drop_cache,
    .truncate = fault_truncate,
    .rename = fault_rename,
    .unlink = fault_unlink,
    .syncdir = fault_syncdir,
    .list = fault_list,
    .space = fault_space,
    .named = fault_named,
    .lock = fault_lock,
    .random = fault_random,
};

void fault_io_init(struct fault_io *fault, struct wal_io *real)
{
    *fault = (struct fault_io){.io = {.ops = &fault_ops}, .real = real};
    pthread_mutex_init(&fault->lock, NULL);
    pthread_cond_init(&fault->failed, NULL);
}

void fault_io_fini(struct fault_io *fault)
{
    pthread_cond_destroy(&fault->failed);
    pthread_mutex_destroy(&fault->lock);
}

void fault_io_set(struct fault_io *fault, enum fault_call call, int err, int after, int times)
{
    pthread_mutex_lock(&fault->lock);
    fault->call = call;
    fault->err = err;
    fault->after = after;
    fault->times = times;
    fault->faults = 0;
    pthread_mutex_unlock(&fault->lock);
}

void fault_io_heal(struct fault_io *fault)
{
    fault_io_set(fault, FAULT_OPEN, 0, 0, 0);
}

void fault_io_await(struct fault_io *fault, long faults)
{
    pthread_mutex_lock(&fault->lock);
    while (fault->faults < faults) {
        pthread_cond_wait(&fault->failed, &fault->lock);
    }
    pthread_mutex_unlock(&fault->lock);
}
