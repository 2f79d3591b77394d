/* The signals that end the server: SIGTERM, SIGINT and SIGHUP, heard by a thread of their own. */
#ifndef TALLY_TOOLS_TALLYD_STOP_H
#define TALLY_TOOLS_TALLYD_STOP_H

/*
 *     stop_watch ──── the log is read ──── stop_serves ──── serving ──── a signal ──── draining
 *                          │                                                              │
 *                       a signal: exit 0 at once,                  a second one, 250 ms later or
 *                       the log is as it was                       more: exit 128 + its number
 *                                                                  at once
 *
 * All that comes within 250 ms of the first is the first: `timeout` signals its child and then the
 * child's process group, and so does whoever passes on a signal that the group has got as well.
 *
 * SIGHUP is what a closed terminal sends. It is one of them unless it is ignored at the start, as
 * nohup makes it: then it stays so. All other signals do what they do by default.
 *
 * While the log is read nothing of ours is on the disk yet, and what a start repairs is safe at
 * every step, as after a kill -9; so that end needs nobody's help, whatever the start is at.
 */

/* Blocks the signals for this thread and all that it starts from now on, and begins to hear them.
 * Returns 0 or a positive errno value. Threads: the first, before it starts another. */
int stop_watch(void);

/* From now on the first signal asks for a drain. */
void stop_serves(void);

/* Waits for that signal. Returns its number. */
int stop_await(void);

#endif
