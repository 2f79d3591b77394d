/* The calls of the simulated disk: the table that the log sees, and the names below it. */
#ifndef TALLY_TESTS_CRASH_DISK_IO_H
#define TALLY_TESTS_CRASH_DISK_IO_H

#include "tests/crash/disk.h"

extern const struct wal_io_ops disk_io_ops;

/* NULL: there is no such name. */
struct disk_name *disk_dir_find(const struct disk_dir *dir, const char *name);
void disk_dir_put(struct disk_dir *dir, const char *name, struct disk_file *file);
void disk_dir_remove(struct disk_dir *dir, const char *name);
void disk_dir_apply(struct disk_dir *dir, const struct disk_op *op);

/* Does the operation in the cached directory, and notes that it is not durable. */
void disk_op_add(struct disk *disk, const struct disk_op *op);

/* Makes all pending operations durable. */
void disk_ops_sync(struct disk *disk);

#endif
