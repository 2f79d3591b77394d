/* Following a log: waits for its directory to change, until a signal ends the waiting. */
#include "tools/tally-wal/follow.h"

#include "tools/signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* WAIT_MS_MAX: not every file system reports every change, so a wait has an end. GATHER_MS: under
 * load every commit is a change; several are gathered, so that the server keeps its cores. */
enum { WAIT_MS_MAX = 500, GATHER_MS = 20, EVENTS_BYTES = 4096 };

#define FILE_EVENTS (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF)

int follow_init(struct follow *follow, const char *dir)
{
    sigset_t signals;
    signals_that_end(&signals);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    *follow = (struct follow){.events_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
    if (follow->events_fd < 0) {
        return -errno;
    }
    follow->signals_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (follow->signals_fd < 0 ||
        inotify_add_watch(follow->events_fd, dir, IN_MODIFY | FILE_EVENTS) < 0) {
        int err = -errno;
        follow_fini(follow);
        return err;
    }
    return 0;
}

void follow_fini(struct follow *follow)
{
    if (follow->signals_fd >= 0) {
        close(follow->signals_fd);
    }
    close(follow->events_fd);
}

/* Takes the events of inotify. */
static void take_events(struct follow *follow)
{
    _Alignas(struct inotify_event) char bytes[EVENTS_BYTES];
    ssize_t len;
    while ((len = read(follow->events_fd, bytes, sizeof bytes)) > 0) {
        for (char *at = bytes; at < bytes + len;) {
            const struct inotify_event *event = (const struct inotify_event *)(void *)at;
            if ((event->mask & (FILE_EVENTS | IN_Q_OVERFLOW)) != 0) {
                follow->has_files = true;
            }
            at += sizeof *event + event->len;
        }
    }
}

/* Waits for a signal or the reader's end, with `for_events` also for a change. Returns whether to
 * go on. */
static bool wait_ms(struct follow *follow, int timeout_ms, bool for_events)
{
    struct pollfd fds[] = {
        {.fd = follow->signals_fd, .events = POLLIN},
        {.fd = STDOUT_FILENO}, /* POLLERR: the reader of the pipe has gone */
        {.fd = follow->events_fd, .events = POLLIN},
    };
    int ready = poll(fds, for_events ? 3 : 2, timeout_ms);
    return ready <= 0 || (fds[0].revents == 0 && (fds[1].revents & POLLERR) == 0);
}

bool follow_wait(struct follow *follow)
{
    bool goes_on = wait_ms(follow, WAIT_MS_MAX, true) && wait_ms(follow, GATHER_MS, false);
    /* events are taken here alone: the reading that follows sees every change taken now */
    take_events(follow);
    return goes_on;
}

bool follow_is_over(struct follow *follow)
{
    return !wait_ms(follow, 0, false) || ferror(stdout) != 0;
}
