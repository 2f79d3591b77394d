/* An edge with its own way to sleep, and the blocking forms of its calls that the tests share. */
#ifndef TALLY_TESTS_ENGINE_DOOR_H
#define TALLY_TESTS_ENGINE_DOOR_H

#include "engine/engine.h"

struct door {
    struct edge *edge;
    struct lane *lane; /* where the edge sleeps */
};

/* Ends the program with exit code 1 and the reason. */
_Noreturn void torture_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define MUST(cond, ...) ((cond) ? (void)0 : torture_fail(__VA_ARGS__))

/* Opens an edge for the calling thread and begins a pass: from here to door_close it is in one. */
void door_open(struct door *door, struct tally *tally);
void door_close(struct door *door);

/* Hands over what was appended, ends the pass, and sleeps until a commit has come since the last
 * look. Fails when none comes for 20 s. */
void door_wait(struct door *door);

/* Waits until all that was appended is applied, and frees the slots. */
void door_settle(struct door *door);

/* Takes what a request function returned: waits where it says PARK or ROOM. True: ask again. */
bool door_again(struct door *door, int err);

/* The verdict of the judged request that returned err; value may be NULL. */
int door_judged(struct door *door, int err, uint64_t *value);

void door_poll(struct door *door, const char *name);
uint64_t door_option(struct door *door, const char *poll, const char *label);
void door_worker(struct door *door, const char *id, uint32_t slots);

/* Fills a read that edge_read was asked for, and waits for it. */
int door_read(struct door *door, struct read *read);

/* Opens the engine in dir; must succeed. */
struct tally *door_engine(const char *dir, unsigned edges);
struct tally *door_engine_with(const struct tally_options *options);

/* A fresh directory below TMPDIR, and its end with all files. */
void torture_dir(char *path, size_t room);
void torture_dir_remove(const char *path);

#endif
