/* Waiting for more of a log to come, until somebody says that it is enough. */
#ifndef TALLY_TOOLS_TALLY_WAL_FOLLOW_H
#define TALLY_TOOLS_TALLY_WAL_FOLLOW_H

#include <stdbool.h>

struct follow {
    int events_fd;  /* inotify on the directory */
    int signals_fd; /* those that end (tools/signals.h) */
    bool has_files; /* files have come, gone or got another name since this was last cleared */
};

/* From now on the signals that end stop a wait, and SIGPIPE does not end the process. Returns 0 or
 * a negative errno value. */
int follow_init(struct follow *follow, const char *dir);
void follow_fini(struct follow *follow);

/* Waits until something in the directory has changed. Returns whether to go on: false after a
 * signal, or when nobody reads standard output any more. */
bool follow_wait(struct follow *follow);

/* Whether to end, without waiting. */
bool follow_is_over(struct follow *follow);

#endif
