/* The signals that end the server: SIGTERM, SIGINT and SIGHUP, taken by a thread of their own. */
#ifndef TALLY_TOOLS_TALLYD_STOP_H
#define TALLY_TOOLS_TALLYD_STOP_H

/*
 *     stop_watch ──── the log is read ──── stop_serves ──── serving ──── a signal ──── draining
 *                          │                                                              │
 *                       a signal: exit 0 at once,                  a second one, 250 ms later or
 *                       the log is as it was                       more: exit 128 + its number
 *                                                                  at once
 *
 * Signals within 250 ms of the first count as the first: `timeout` signals its child and then the
 * child's process group, and a program that passes on a signal does the same.
 *
 * A closed terminal sends SIGHUP. It ends the server unless it is ignored at the start, as nohup
 * makes it: then it stays ignored. All other signals have their default effect.
 *
 * While the log is read this process has written no record, and the repairs of a start are safe at
 * every step, as after a kill -9. So the process can end at once, wherever the start is.
 */

/* Blocks the signals for this thread and all threads that it starts, and starts the signal thread.
 * Returns 0 or a positive errno value. Threads: the first, before it starts another. */
int stop_watch(void);

/* Begins serving: from now on the first signal asks for a drain. */
void stop_serves(void);

/* Waits for that signal. Returns its number. */
int stop_await(void);

#endif
