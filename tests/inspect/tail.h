/* A tally-wal dump --follow in a process of its own, read line by line. */
#ifndef TALLY_TESTS_INSPECT_TAIL_H
#define TALLY_TESTS_INSPECT_TAIL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { TAIL_LINE_MAX = 4096, TAIL_WAIT_MS = 60000 };

struct tail {
    pid_t pid;
    int fd;
    char line[TAIL_LINE_MAX];
    size_t used;       /* bytes of `line` that have come */
    uint64_t next_lsn; /* of the line that is expected */
    uint64_t votes;    /* what the last VOTE of option 1 said */
};

/* Starts `tally-wal dump --follow DIR`; further options up to a NULL. */
void tail_open(struct tail *tail, const char *dir, const char *const *options);

/* Reads whole lines, each with the next lsn and each vote of option 1 going on where the last one
 * ended, until option 1 has so many votes. */
void tail_await_votes(struct tail *tail, uint64_t votes);

/* Closes our end of the pipe. */
void tail_hang_up(struct tail *tail);

/* Reads until it ends. Returns its exit code, or 128 + the signal that ended it. */
int tail_await_exit(struct tail *tail);

#endif
