/* How tallyd ends: a table of errors, with the exit code and the remedy for each. */
#include "tools/tallyd/ending.h"

#include "wal/base/err.h"

#include <errno.h>
#include <stddef.h>

#define THREADS                                                                                    \
    "see how many threads are allowed (ulimit -u, TasksMax=, pids.max), and how much memory "      \
    "(ulimit -v)"
#define MEMORY "it takes a machine with more memory"

static const struct ending data_endings[] = {
    {TALLY_DAMAGE, EXIT_DAMAGED, "nothing was changed; `tally-wal verify` looks at all of it"},
    {TALLY_NEWER, EXIT_NEWER, "nothing was changed; start the version that wrote it, or a newer"},
    {TALLY_NOTFOUND, EXIT_MISSING, "make the directory above it, or take another with --data"},
    {TALLY_EXISTS, EXIT_MISSING,
     "it, or one above it, is something else (a file, a link to nothing): take another with "
     "--data"},
    {TALLY_DENIED, EXIT_FORBIDDEN,
     "let this user read and write there (chown, chmod, mount), or take another with --data"},
    {TALLY_LOCKED, EXIT_IN_USE,
     "another tallyd or `tally-wal repair` has it; stop that one, or take another with --data"},
    {TALLY_NOMEM, EXIT_MEMORY, "all of the state is in memory; it takes a machine with more"},
    {TALLY_THREAD, EXIT_MEMORY, THREADS},
    {TALLY_NOSPC, EXIT_NO_SPACE,
     "free some space there, or remove some files when no inodes are left (df -i), or take another "
     "with --data"},
    {0, EXIT_IO, "see what the kernel says of this disk (dmesg); nothing may be lost yet"},
};

static const struct ending listener_endings[] = {
    {-EADDRINUSE, EXIT_ADDRESS,
     "another process listens there (ss -ltnp shows which); stop it, or take another with --port"},
    {-EACCES, EXIT_FORBIDDEN,
     "ports below 1024 take a right (CAP_NET_BIND_SERVICE); take another with --port"},
    {-EADDRNOTAVAIL, EXIT_ADDRESS, "no interface of this machine has it; see ip address"},
    {-EAGAIN, EXIT_MEMORY, THREADS},
    {-ENOMEM, EXIT_MEMORY, MEMORY},
    {0, EXIT_ADDRESS, "take another with --bind or --port"},
};

static const struct ending serving_endings[] = {
    {-EAGAIN, EXIT_MEMORY, THREADS},
    {-ENOMEM, EXIT_MEMORY, MEMORY},
    {0, EXIT_CONFIG, "see how many files may be open (ulimit -n, LimitNOFILE=, fs.file-max)"},
};

/* Returns the row of the error; the last row is for all errors that have none. */
static const struct ending *ending_find(const struct ending *at, int err)
{
    while (at->err != err && at->err != 0) {
        at++;
    }
    return at;
}

const struct ending *ending_of_data(int err)
{
    return ending_find(data_endings, err);
}

const struct ending *ending_of_listener(int err)
{
    return ending_find(listener_endings, err);
}

const struct ending *ending_of_serving(int err)
{
    return ending_find(serving_endings, err);
}
