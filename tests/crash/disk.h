/* The simulated disk behind struct wal_io: a durable image, a cached one, and crashes. */
#ifndef TALLY_TESTS_CRASH_DISK_H
#define TALLY_TESTS_CRASH_DISK_H

#include "tests/lib/seed.h"
#include "wal/disk/io.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 *   write ──▶ cached image ──datasync──▶ durable image        per page of a file, dirty by sector
 *   create, rename, unlink ──▶ names ──syncdir──▶ durable names
 *
 * A crash decides for each dirty sector, for each length that is not durable and for each pending
 * operation on the directory whether the disk has it. The sync of a file does not make its name
 * durable.
 */
enum {
    DISK_SECTOR_BYTES = 512,
    DISK_PAGE_BYTES = 4096,
    DISK_PAGE_SECTORS = DISK_PAGE_BYTES / DISK_SECTOR_BYTES,
    DISK_NAME_BYTES = 48,
    DISK_FDS_MAX = 32,
};

/* Habits of the disk; the log has to be right with each. */
enum disk_habit {
    DISK_DIR_IN_ORDER = 1, /* operations on the directory become durable in their order */
    DISK_SIZE_FIRST = 2, /* a new length is durable at once, contents that were lost are garbage */
    DISK_TEARS = 4,      /* a sector can be half old, half new */
    DISK_GARBLES = 8,    /* a sector that was being written can hold anything */
    DISK_STUTTERS = 16,  /* reads and writes are short or interrupted */
};

enum disk_call {
    DISK_OPEN,
    DISK_CLOSE,
    DISK_PWRITE,
    DISK_PREAD,
    DISK_SIZE,
    DISK_DATASYNC,
    DISK_SYNC,
    DISK_DROP_CACHE,
    DISK_TRUNCATE,
    DISK_RENAME,
    DISK_UNLINK,
    DISK_SYNCDIR,
    DISK_LIST,
    DISK_LOCK,
    DISK_CALLS,
};

/* The k-th call from now fails. A failed sync drops the dirty pages, and every later one succeeds.
 */
struct disk_fault {
    uint64_t countdown; /* 0: none; 1: the next call */
    uint32_t only;      /* counts only these calls, 1 << enum disk_call; 0: all */
    int err;            /* negative errno value; 0: the call transfers less than it could */
    bool stays;         /* every later call fails, too */
    uint64_t again;     /* a second call fails so many calls later; 0: none */
    bool hit;           /* a call has failed */
};

struct disk_file;

struct disk_name {
    char name[DISK_NAME_BYTES];
    struct disk_file *file;
};

struct disk_dir {
    struct disk_name *names;
    size_t count;
    size_t room;
};

enum disk_op_kind { DISK_OP_CREATE, DISK_OP_RENAME, DISK_OP_UNLINK };

/* A pending operation on the directory. */
struct disk_op {
    enum disk_op_kind kind;
    char from[DISK_NAME_BYTES]; /* RENAME */
    char name[DISK_NAME_BYTES];
    struct disk_file *file; /* CREATE, RENAME */
};

struct disk {
    struct wal_io io; /* first: a struct wal_io * is cast to this */
    pthread_mutex_t lock;
    struct disk_dir dir;     /* as programs see it */
    struct disk_dir durable; /* as it is on the disk */
    struct disk_op *ops;     /* between the two, in order */
    size_t op_count;
    size_t op_room;
    struct disk_file *fds[DISK_FDS_MAX]; /* NULL: not open */

    unsigned habits;
    uint64_t space_bytes; /* limit of all files together; 0: none */
    struct disk_fault fault;
    uint64_t faults;  /* number of calls that were made to fail */
    unsigned *hits;   /* if there: the first call that fails is noted, 1 << enum disk_call */
    struct seed seed; /* for random and stutters */
    bool is_off;      /* no power: every call fails and has no effect */
    uint64_t off_at;  /* the power fails before this call; 0: never */
    bool is_busy;     /* inside a call: allocations are the test's own */

    uint64_t calls;   /* so far */
    uint64_t changes; /* grows with each change of the images that a crash could leave */
    uint64_t by_call[DISK_CALLS];
    void (*point)(void); /* before each call, if there: another fiber may go on */
    /* then this, under the lock; may clone the disk, and change nothing */
    void (*before)(void *arg, const struct disk *disk, enum disk_call call);
    void *before_arg;
};

void disk_init(struct disk *disk);
void disk_fini(struct disk *disk);

/* Makes *to, which is not initialized, a copy without open files, faults and hooks. Shares pages.
 */
void disk_clone(struct disk *to, const struct disk *from);

/* Ends a process: its descriptors are closed, its lock is given up, the cache stays. */
void disk_kill(struct disk *disk);

/* ---- the power fails ---- */

enum disk_loss {
    DISK_LOSE_ALL,
    DISK_KEEP_ALL,
    DISK_LOSE_MASK,   /* item i is kept if bit i of the number is set */
    DISK_LOSE_RANDOM, /* the number is the seed */
    DISK_LOSE_NONE,   /* no crash of the machine: the process has ended, the cache stays */
};

struct disk_choice {
    enum disk_loss loss;
    uint64_t number;
};

/* The number of items on which a crash decides and which make a difference. */
unsigned disk_pending(const struct disk *disk);

/* Crashes: each item that is not durable is kept or lost, as chosen and by habit. Then the disk is
 * as after a kill. */
void disk_crash(struct disk *disk, struct disk_choice choice);

/* ---- whole files, durable and cached at once, for damage ---- */

/* Whether there is a file of that name; *size gets its length. */
bool disk_find(const struct disk *disk, const char *name, uint64_t *size);
void disk_load(const struct disk *disk, const char *name, uint64_t offset, void *into, size_t len);
void disk_store(struct disk *disk, const char *name, uint64_t offset, const void *from, size_t len);
void disk_cut(struct disk *disk, const char *name, uint64_t len);
void disk_remove(struct disk *disk, const char *name);
void disk_rename(struct disk *disk, const char *from, const char *to);

const char *disk_call_name(enum disk_call call);

#endif
