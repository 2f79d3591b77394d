/* A new data directory that appears under its name when it is whole and on disk, or not at all. */
#include "tools/tally-wal/newdir.h"

#include "engine/apply/snapshot_proof.h"
#include "tools/signals.h"
#include "tools/tally-wal/exit.h"
#include "tools/tally-wal/snapshots.h"
#include "wal/base/err.h"
#include "wal/recover/log_begin.h"
#include "wal/files/snapshot_read.h"
#include "wal/files/snapshot_writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_DIRS_MAX = 4 };

static int say(const char *path, const char *what, int code)
{
    fprintf(stderr, "tally-wal: %s: %s\n", path, what);
    return code;
}

/* Returns 0 when the path does not exist or is an empty directory; newdir->path is then the path
 * without a slash at its end. */
static int check_path(struct newdir *newdir, const char *path)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    if (len == 0 || len >= sizeof newdir->path - sizeof ".partial-XXXXXX") {
        return say(path, "no name for a directory", EXIT_IN_USE);
    }
    memcpy(newdir->path, path, len);
    newdir->path[len] = '\0';
    DIR *dir = opendir(newdir->path);
    if (dir == NULL) {
        return errno == ENOENT ? 0 : say(path, strerrordesc_np(errno), EXIT_IN_USE);
    }
    size_t entries = 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        entries += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(dir);
    return entries == 0 ? 0
                        : say(path, "is there and is not empty; nothing was written", EXIT_IN_USE);
}

static int sync_nothing(struct wal_io *io, int fd)
{
    (void)io;
    (void)fd;
    return 0;
}

static int put_block(void *arg, const struct wal_block *block)
{
    struct wal_snapshot_writer *snapshot = arg;
    if (newdir_is_interrupted()) {
        return TALLY_TIMEOUT;
    }
    return block->count == 0
               ? 0
               : wal_snapshot_writer_put(snapshot, block->count, block->raw, block->raw_bytes);
}

/* Writes a snapshot of another log anew for the new log: its checksums depend on the log's uuid. */
static int copy_snapshot(struct newdir *newdir, struct wal_io *from,
                         const unsigned char uuid[WAL_UUID_BYTES], uint64_t lsn)
{
    struct wal_snapshot_info info = {.text = ""};
    struct wal_snapshot_writer *snapshot = NULL;
    struct snapshot_proof proof;
    uint64_t bytes;
    int err = wal_snapshot_writer_new(&snapshot, newdir->io, uuid, lsn);
    err = err != 0 ? err : wal_snapshot_read(from, lsn, put_block, snapshot, &info);
    snapshot_proof_init(&proof, lsn);
    err = err != 0 ? err : wal_snapshot_writer_end(snapshot, snapshot_proof_block, &proof, &bytes);
    snapshot_proof_fini(&proof);
    if (err == TALLY_IO && snapshots_is_gone(from, lsn)) {
        wal_snapshot_writer_destroy(snapshot);
        return NEWDIR_AGAIN;
    }
    if (err != 0 && err != TALLY_TIMEOUT) {
        const char *why = snapshot != NULL ? wal_snapshot_writer_why(snapshot) : "";
        why = info.text[0] != '\0' ? info.text : why[0] != '\0' ? why : tally_err_text(err);
        say(newdir->temp, why, 0);
    }
    wal_snapshot_writer_destroy(snapshot);
    return err == 0 ? EXIT_WHOLE : EXIT_UNREADABLE;
}

/* Makes the directory look as if the log's records up to lsn had been removed. */
static int begin_behind(struct newdir *newdir, struct wal_io *from, uint64_t lsn)
{
    unsigned char uuid[WAL_UUID_BYTES];
    newdir->io->ops->random(newdir->io, uuid, sizeof uuid);
    int code = copy_snapshot(newdir, from, uuid, lsn);
    int err = code == EXIT_WHOLE ? wal_log_begin_behind(newdir->io, uuid, lsn) : 0;
    return err == 0 ? code : say(newdir->temp, strerrordesc_np(-err), EXIT_UNREADABLE);
}

/* Visits without a check: the copy was read back as it was written, and the inspector has checked
 * the images. */
static int see_nothing(void *arg, const struct wal_block *block)
{
    (void)arg;
    (void)block;
    return 0;
}

/* Opens the log without syncs: nobody uses it before it is complete, and then it is synced once. */
static int open_log(struct newdir *newdir, struct wal_io *from, uint64_t snapshot_lsn)
{
    struct wal_report report;
    int err = wal_file_io_new(&newdir->io, newdir->temp, 0);
    if (err != 0) {
        newdir->io = NULL;
        return say(newdir->temp, strerrordesc_np(-err), EXIT_UNREADABLE);
    }
    newdir->real_ops = newdir->io->ops;
    newdir->lazy_ops = *newdir->io->ops;
    newdir->lazy_ops.datasync = sync_nothing;
    newdir->lazy_ops.sync = sync_nothing;
    newdir->io->ops = &newdir->lazy_ops;
    int code = snapshot_lsn > 0 ? begin_behind(newdir, from, snapshot_lsn) : EXIT_WHOLE;
    if (code != EXIT_WHOLE) {
        return code;
    }
    struct wal_options options = {.io = newdir->io, .load = see_nothing};
    err = wal_open(&newdir->wal, &options, NULL, NULL, &report);
    if (err != 0) {
        newdir->wal = NULL;
        return say(newdir->temp, report.text, EXIT_UNREADABLE);
    }
    return EXIT_WHOLE;
}

static void block_signals(struct newdir *newdir)
{
    sigset_t signals;
    signals_that_end(&signals);
    sigprocmask(SIG_BLOCK, &signals, &newdir->mask);
}

bool newdir_is_interrupted(void)
{
    sigset_t signals;
    sigset_t pending;
    sigset_t come;
    signals_that_end(&signals);
    return sigpending(&pending) == 0 && sigandset(&come, &pending, &signals) == 0 &&
           sigisemptyset(&come) == 0;
}

int newdir_begin(struct newdir *newdir, const char *path, struct wal_io *from,
                 uint64_t snapshot_lsn)
{
    *newdir = (struct newdir){.io = NULL};
    int code = check_path(newdir, path);
    if (code != 0) {
        return code;
    }
    block_signals(newdir);
    snprintf(newdir->temp, sizeof newdir->temp, "%.*s.partial-XXXXXX", PATH_MAX - 32, newdir->path);
    if (mkdtemp(newdir->temp) == NULL) {
        int err = errno;
        newdir->temp[0] = '\0';
        newdir_fini(newdir);
        return say(path, strerrordesc_np(err), EXIT_UNREADABLE);
    }
    code = open_log(newdir, from, snapshot_lsn);
    if (code != EXIT_WHOLE) {
        newdir_fini(newdir);
    }
    return code;
}

/* Syncs any file of the directory, LOCK too. */
static int sync_file(void *arg, const char *name)
{
    struct newdir *newdir = arg;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return 0;
    }
    int fd = newdir->io->ops->open(newdir->io, name, WAL_OPEN_READ);
    if (fd < 0) {
        return fd;
    }
    int err = newdir->io->ops->sync(newdir->io, fd);
    newdir->io->ops->close(newdir->io, fd);
    return err;
}

static int sync_parent(const struct newdir *newdir)
{
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%.*s/..", PATH_MAX - 4, newdir->path);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = fd < 0 || fsync(fd) != 0 ? -errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

int newdir_finish(struct newdir *newdir)
{
    int err = wal_close(newdir->wal, true);
    newdir->wal = NULL;
    newdir->io->ops = newdir->real_ops;
    if (err != 0) {
        return say(newdir->temp, "cannot close the new log", EXIT_UNREADABLE);
    }
    err = newdir->io->ops->list(newdir->io, sync_file, newdir);
    err = err != 0 ? err : newdir->io->ops->syncdir(newdir->io);
    if (err == 0 && rename(newdir->temp, newdir->path) != 0) {
        err = -errno;
    }
    if (err == 0) {
        newdir->temp[0] = '\0';
        err = sync_parent(newdir);
    }
    return err == 0 ? EXIT_WHOLE : say(newdir->path, strerrordesc_np(-err), EXIT_UNREADABLE);
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    (void)stat;
    (void)type;
    (void)ftw;
    return remove(path);
}

void newdir_fini(struct newdir *newdir)
{
    if (newdir->wal != NULL) {
        (void)wal_close(newdir->wal, false);
    }
    if (newdir->io != NULL) {
        newdir->io->ops = newdir->real_ops;
        newdir->io->ops->destroy(newdir->io);
    }
    if (newdir->temp[0] != '\0') {
        nftw(newdir->temp, remove_entry, OPEN_DIRS_MAX, FTW_DEPTH | FTW_PHYS);
    }
    sigprocmask(SIG_SETMASK, &newdir->mask, NULL);
}
