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
    size_t used;       /* bytes of `line` that were read */
    uint64_t next_lsn; /* of the next line */
    uint64_t votes;    /* the count in the last VOTE of option 1 */
};

/* Starts `tally-wal dump --follow DIR`; further options up to a NULL. */
void tail_open(struct tail *tail, const char *dir, const char *const *options);

/* Reads whole lines, each with the next lsn and each vote of option 1 going on where the last one
 * ended, until option 1 has so many votes. */
void tail_await_votes(struct tail *tail, uint64_t votes);

/* Closes the reading end of the pipe. */
void tail_hang_up(struct tail *tail);

/* Reads until the process ends. Returns its exit code, or 128 + the signal that ended it. */
int tail_await_exit(struct tail *tail);

#endif
