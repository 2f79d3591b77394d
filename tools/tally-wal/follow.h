/* Following a log: waits for its directory to change, until a signal ends the waiting. */
#ifndef TALLY_TOOLS_TALLY_WAL_FOLLOW_H
#define TALLY_TOOLS_TALLY_WAL_FOLLOW_H

#include <stdbool.h>

struct follow {
    int events_fd;  /* inotify on the directory */
    int signals_fd; /* a signalfd of those that end (tools/signals.h) */
    bool has_files; /* files were added, removed or renamed since this was last cleared */
};

/* Begins to watch the directory. From now on the signals that end (tools/signals.h) end a wait, and
 * SIGPIPE does not end the process. Returns 0 or a negative errno value. */
int follow_init(struct follow *follow, const char *dir);
void follow_fini(struct follow *follow);

/* Waits until something in the directory has changed. Returns whether to go on: false after a
 * signal, or when nobody reads standard output any more. */
bool follow_wait(struct follow *follow);

/* Whether a signal has come or the reader of standard output is gone. Does not wait. */
bool follow_is_over(struct follow *follow);

#endif
