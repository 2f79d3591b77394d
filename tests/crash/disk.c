/* The simulated disk behind struct wal_io: names, copies, crashes, and whole files for damage. */
#include "tests/crash/disk.h"

#include "tests/crash/disk_file.h"
#include "tests/crash/disk_io.h"
#include "wal/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *disk_call_name(enum disk_call call)
{
    static const char *const names[DISK_CALLS] = {
        "open",       "close",    "pwrite", "pread",  "size",    "datasync", "sync",
        "drop_cache", "truncate", "rename", "unlink", "syncdir", "list",     "lock",
    };
    return names[call];
}

void disk_init(struct disk *disk)
{
    *disk = (struct disk){.io = {.ops = &disk_io_ops}};
    pthread_mutex_init(&disk->lock, NULL);
}

static void dir_fini(struct disk_dir *dir)
{
    for (size_t i = 0; i < dir->count; i++) {
        disk_file_unref(dir->names[i].file);
    }
    free(dir->names);
    *dir = (struct disk_dir){.names = NULL};
}

static void ops_clear(struct disk *disk)
{
    for (size_t i = 0; i < disk->op_count; i++) {
        disk_file_unref(disk->ops[i].file);
    }
    disk->op_count = 0;
}

void disk_fini(struct disk *disk)
{
    disk_kill(disk);
    dir_fini(&disk->dir);
    dir_fini(&disk->durable);
    ops_clear(disk);
    free(disk->ops);
    pthread_mutex_destroy(&disk->lock);
}

struct disk_name *disk_dir_find(const struct disk_dir *dir, const char *name)
{
    for (size_t i = 0; i < dir->count; i++) {
        if (strcmp(dir->names[i].name, name) == 0) {
            return &dir->names[i];
        }
    }
    return NULL;
}

void disk_dir_remove(struct disk_dir *dir, const char *name)
{
    struct disk_name *entry = disk_dir_find(dir, name);
    if (entry != NULL) {
        disk_file_unref(entry->file);
        *entry = dir->names[--dir->count];
    }
}

void disk_dir_put(struct disk_dir *dir, const char *name, struct disk_file *file)
{
    disk_file_ref(file);
    disk_dir_remove(dir, name);
    if (dir->count == dir->room) {
        dir->room = dir->room == 0 ? 8 : dir->room * 2;
        dir->names = realloc(dir->names, dir->room * sizeof(*dir->names));
        CHECK(dir->names != NULL);
    }
    struct disk_name *entry = &dir->names[dir->count++];
    snprintf(entry->name, sizeof(entry->name), "%s", name);
    entry->file = file;
}

void disk_dir_apply(struct disk_dir *dir, const struct disk_op *op)
{
    switch (op->kind) {
    case DISK_OP_CREATE:
        disk_dir_put(dir, op->name, op->file);
        break;
    case DISK_OP_RENAME:
        disk_dir_put(dir, op->name, op->file);
        disk_dir_remove(dir, op->from);
        break;
    case DISK_OP_UNLINK:
        disk_dir_remove(dir, op->name);
        break;
    }
}

void disk_op_add(struct disk *disk, const struct disk_op *op)
{
    if (disk->op_count == disk->op_room) {
        disk->op_room = disk->op_room == 0 ? 8 : disk->op_room * 2;
        disk->ops = realloc(disk->ops, disk->op_room * sizeof(*disk->ops));
        CHECK(disk->ops != NULL);
    }
    disk->ops[disk->op_count] = *op;
    disk_file_ref(op->file);
    disk->op_count++;
    disk_dir_apply(&disk->dir, op);
}

void disk_ops_sync(struct disk *disk)
{
    for (size_t i = 0; i < disk->op_count; i++) {
        disk_dir_apply(&disk->durable, &disk->ops[i]);
    }
    ops_clear(disk);
}

/* ---- copies ---- */

/* Pairs of a file of the original and its copy. */
struct twins {
    struct {
        const struct disk_file *from;
        struct disk_file *to;
    } pairs[256];
    size_t count;
};

static struct disk_file *twin_of(struct twins *twins, const struct disk_file *file)
{
    for (size_t i = 0; i < twins->count; i++) {
        if (twins->pairs[i].from == file) {
            return twins->pairs[i].to;
        }
    }
    CHECK(twins->count < sizeof(twins->pairs) / sizeof(twins->pairs[0]));
    struct disk_file *copy = disk_file_copy(file);
    twins->pairs[twins->count].from = file;
    twins->pairs[twins->count++].to = copy;
    return copy;
}

static void dir_clone(struct disk_dir *to, const struct disk_dir *from, struct twins *twins)
{
    for (size_t i = 0; i < from->count; i++) {
        disk_dir_put(to, from->names[i].name, twin_of(twins, from->names[i].file));
    }
}

void disk_clone(struct disk *to, const struct disk *from)
{
    struct twins twins;
    twins.count = 0;
    disk_init(to);
    to->habits = from->habits;
    to->space_bytes = from->space_bytes;
    to->seed = from->seed;
    dir_clone(&to->dir, &from->dir, &twins);
    dir_clone(&to->durable, &from->durable, &twins);
    if (from->op_count > 0) {
        to->op_room = from->op_count;
        to->op_count = from->op_count;
        to->ops = malloc(from->op_count * sizeof(*to->ops));
        CHECK(to->ops != NULL);
    }
    for (size_t i = 0; i < from->op_count; i++) {
        to->ops[i] = from->ops[i];
        if (from->ops[i].file != NULL) {
            to->ops[i].file = disk_file_ref(twin_of(&twins, from->ops[i].file));
        }
    }
    for (size_t i = 0; i < twins.count; i++) {
        disk_file_unref(twins.pairs[i].to); /* the names hold it now */
    }
}

void disk_kill(struct disk *disk)
{
    for (int fd = 0; fd < DISK_FDS_MAX; fd++) {
        disk_file_unref(disk->fds[fd]);
        disk->fds[fd] = NULL;
    }
    disk->is_off = false;
    disk->off_at = 0;
}

/* ---- the power goes ---- */

unsigned disk_pending(const struct disk *disk)
{
    unsigned items = (unsigned)disk->op_count;
    for (size_t i = 0; i < disk->dir.count; i++) {
        disk_file_count(disk->dir.names[i].file, &items);
    }
    return items;
}

static void dir_crash(struct disk *disk, struct disk_fate *fate)
{
    bool in_order = (disk->habits & DISK_DIR_IN_ORDER) != 0;
    bool lost_one = false;
    for (size_t i = 0; i < disk->op_count; i++) {
        bool keeps = disk_fate_keeps(fate) && !(in_order && lost_one);
        lost_one = lost_one || !keeps;
        if (keeps) {
            disk_dir_apply(&disk->durable, &disk->ops[i]);
        }
    }
    ops_clear(disk);
}

void disk_crash(struct disk *disk, struct disk_choice choice)
{
    struct disk_fate fate = {.choice = choice, .habits = disk->habits, .seed = {choice.number}};
    static const unsigned char often[] = {1, 4, 4, 7};
    fate.keep_of_8 = often[seed_below(&fate.seed, sizeof(often))];
    disk_kill(disk);
    disk->changes++;
    if (choice.loss == DISK_LOSE_NONE) {
        return;
    }
    dir_crash(disk, &fate);
    struct twins seen; /* a file may have two names for a moment */
    seen.count = 0;
    for (size_t i = 0; i < disk->durable.count; i++) {
        struct disk_file *file = disk->durable.names[i].file;
        size_t at = 0;
        while (at < seen.count && seen.pairs[at].from != file) {
            at++;
        }
        if (at == seen.count) {
            seen.pairs[seen.count++].from = file;
            disk_file_crash(file, &fate);
        }
    }
    dir_fini(&disk->dir);
    for (size_t i = 0; i < disk->durable.count; i++) {
        disk_dir_put(&disk->dir, disk->durable.names[i].name, disk->durable.names[i].file);
    }
}

/* ---- whole files ---- */

bool disk_find(const struct disk *disk, const char *name, uint64_t *size)
{
    const struct disk_name *entry = disk_dir_find(&disk->dir, name);
    if (entry != NULL) {
        *size = entry->file->size;
    }
    return entry != NULL;
}

static struct disk_file *file_of(const struct disk *disk, const char *name)
{
    const struct disk_name *entry = disk_dir_find(&disk->dir, name);
    CHECK(entry != NULL);
    return entry->file;
}

void disk_load(const struct disk *disk, const char *name, uint64_t offset, void *into, size_t len)
{
    CHECK(disk_file_read(file_of(disk, name), into, len, offset) == len);
}

void disk_store(struct disk *disk, const char *name, uint64_t offset, const void *from, size_t len)
{
    struct disk_file *file = file_of(disk, name);
    disk_file_write(file, from, len, offset);
    disk_file_sync(file);
}

void disk_cut(struct disk *disk, const char *name, uint64_t len)
{
    struct disk_file *file = file_of(disk, name);
    disk_file_truncate(file, len);
    disk_file_sync(file);
}

void disk_remove(struct disk *disk, const char *name)
{
    disk_dir_remove(&disk->dir, name);
    disk_dir_remove(&disk->durable, name);
}

void disk_rename(struct disk *disk, const char *from, const char *to)
{
    struct disk_op op = {.kind = DISK_OP_RENAME, .file = file_of(disk, from)};
    snprintf(op.from, sizeof(op.from), "%s", from);
    snprintf(op.name, sizeof(op.name), "%s", to);
    disk_dir_apply(&disk->durable, &op);
    disk_dir_apply(&disk->dir, &op);
}
