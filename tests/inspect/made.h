/* A made log: a test chooses its records, times and blocks, and runs tally-wal on it. */
#ifndef TALLY_TESTS_INSPECT_MADE_H
#define TALLY_TESTS_INSPECT_MADE_H

#include "engine/log/record.h"
#include "tests/wal/log_dir.h"

#include <stddef.h>
#include <stdint.h>

#define MADE_MS ((uint64_t)1795255200000) /* 2026-11-21T10:00:00Z */

/* Opens an empty log in a new directory, with segments of 64 KiB. */
void made_init(struct log_dir *disk);

/* Appends one block. The records get their lsns from the log; their time is time_ms. */
void made_block(struct log_dir *disk, uint64_t time_ms, const struct record *records, size_t count);

/*
 * The log that most tests look at, closed in order. One block a second from MADE_MS on:
 *   +0   1 POLL p, 2 OPTION p/A (1), 3 OPTION p/"ü" (2)
 *   +1   4 VOTE 1 by 5, 5 VOTE 2
 *   +2   6 WORKER w, 7 SUBMIT q (1) of the bytes FF 00 22, 8 SUBMIT q (2) "make app"
 *   +3   9 CLAIM build 1
 *   +4   10 VOTE 1 by 2
 *   +5   11 DONE build 1 "ok"
 *   +6   12 VOTE 1 of the voter v
 */
void made_scene(struct log_dir *disk);

/* Runs tally-wal with up to 11 arguments up to a NULL. Returns its exit code. Owns: *out, its
 * standard output, is the caller's to free; NULL: not wanted. made_run_all has standard error in
 * it, too. */
int made_run(char **out, const char *const *args);
int made_run_all(char **out, const char *const *args);

#endif
