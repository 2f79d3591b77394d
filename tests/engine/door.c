/* The blocking forms of the edge's calls, for tests. */
#include "tests/engine/door.h"

#include "wal/base/clock.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * ThreadSanitizer asks for this. urcu_qsbr_barrier hands a counter to liburcu's helper thread,
 * which frees it; the library is built without the sanitizer, so the order between them is not
 * seen.
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:urcu_qsbr_barrier\n";
}

static const uint64_t lost_wake_ns = 20ULL * 1000 * 1000 * 1000;

void torture_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("FAILED: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    _exit(1);
}

static void door_wake(void *arg)
{
    const struct door *door = arg;
    wake_unblock(&door->lane->wake);
}

void door_open(struct door *door, struct tally *tally)
{
    int err = edge_new(&door->edge, tally, door_wake, door);
    MUST(err == 0, "edge_new: %s", tally_err_name(err));
    door->lane = door->edge->lane;
    edge_pass_begin(door->edge);
}

void door_close(struct door *door)
{
    door_settle(door);
    edge_pass_end(door->edge);
    edge_destroy(door->edge);
    memset(door, 0xa5, sizeof(*door)); /* nobody may call door_wake any more */
}

void door_wait(struct door *door)
{
    edge_publish(door->edge);
    edge_pass_end(door->edge);
    if (edge_may_sleep(door->edge)) {
        uint64_t began_ns = clock_mono_ns();
        wake_block(&door->lane->wake, lost_wake_ns);
        MUST(clock_mono_ns() - began_ns < lost_wake_ns, "no commit has woken this edge for 20 s");
        edge_awake(door->edge);
    }
    edge_pass_begin(door->edge);
}

void door_settle(struct door *door)
{
    edge_publish(door->edge);
    while (edge_applied(door->edge) < edge_tail(door->edge)) {
        door_wait(door);
    }
    edge_free(door->edge, edge_applied(door->edge));
}

bool door_again(struct door *door, int err)
{
    if (err == TALLY_ROOM) {
        door_settle(door);
        return true;
    }
    if (err == TALLY_PARK) {
        door_wait(door);
        return true;
    }
    return false;
}

int door_judged(struct door *door, int err, uint64_t *value)
{
    uint64_t ignored = 0;
    if (err != 0) {
        return err;
    }
    edge_publish(door->edge);
    while (edge_applied(door->edge) < edge_tail(door->edge)) {
        door_wait(door);
    }
    do {
        err = edge_verdict(door->edge, edge_tail(door->edge), value != NULL ? value : &ignored);
        if (err == TALLY_PARK) {
            door_wait(door);
        }
    } while (err == TALLY_PARK);
    edge_free(door->edge, edge_applied(door->edge));
    return err;
}

void door_poll(struct door *door, const char *name)
{
    struct edge_poll ask = {span_of(name), EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, EDGE_KEEP};
    int err = door_judged(door, edge_poll(door->edge, &ask), NULL);
    MUST(err == 0, "poll %s: %s", name, tally_err_name(err));
}

uint64_t door_option(struct door *door, const char *poll, const char *label)
{
    uint64_t id = 0;
    int err = door_judged(door, edge_option(door->edge, span_of(poll), span_of(label)), &id);
    MUST(err == 0, "option %s: %s", label, tally_err_name(err));
    return id;
}

void door_worker(struct door *door, const char *id, uint32_t slots)
{
    struct edge_worker ask = {.id = span_of(id), .slots = slots};
    int err = door_judged(door, edge_worker(door->edge, &ask), NULL);
    MUST(err == 0, "worker %s: %s", id, tally_err_name(err));
}

int door_read(struct door *door, struct read *read)
{
    int err = edge_read(door->edge, read);
    while (err == EDGE_QUEUED && !read_is_done(read)) {
        door_wait(door);
    }
    return read->err;
}

struct tally *door_engine(const char *dir, unsigned edges)
{
    return door_engine_with(&(struct tally_options){.dir = dir, .create = true, .edges = edges});
}

struct tally *door_engine_with(const struct tally_options *options)
{
    struct tally_report report;
    struct tally *tally = NULL;
    int err = tally_open(&tally, options, &report);
    MUST(err == 0, "open: %s (%s)", tally_err_name(err), report.text);
    return tally;
}

void torture_dir(char *path, size_t room)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(path, room, "%s/tally-engine.XXXXXX", tmp != NULL ? tmp : "/tmp");
    MUST(mkdtemp(path) != NULL, "cannot make %s", path);
}

void torture_dir_remove(const char *path)
{
    DIR *dir = opendir(path);
    MUST(dir != NULL, "cannot read %s", path);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') {
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
        }
    }
    closedir(dir);
    (void)rmdir(path);
}
