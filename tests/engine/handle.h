/* An edge with its own way to sleep, and the blocking forms of its calls that the tests share. */
#ifndef TALLY_TESTS_ENGINE_HANDLE_H
#define TALLY_TESTS_ENGINE_HANDLE_H

#include "engine/edge/edge_internal.h"
#include "engine/read.h"
#include "engine/engine.h"
#include "wal/base/mutant.h"

struct listener {
    struct edge *edge;
    struct lane *lane; /* where the edge sleeps */
};

/* Ends the program with exit code 1 and the reason. */
_Noreturn void torture_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A program with one rule broken goes on until that is heard, however long it takes: only the time
 * limit of the test ends it. */
#define IS_CONTROL      (TALLY_MUTANT != MUTANT_NONE)

#define MUST(cond, ...) ((cond) ? (void)0 : torture_fail(__VA_ARGS__))

/* Opens an edge for the calling thread and begins a pass: from here to handle_close it is in one.
 */
void listener_hand_over(struct listener *handle, struct tally *tally);
void handle_close(struct listener *handle);

/* Hands over what was appended, ends the pass, and sleeps until a commit has come since the last
 * look. Fails when none comes for 20 s. */
void handle_wait(struct listener *handle);

/* Waits until all that was appended is applied, and frees the slots. */
void handle_settle(struct listener *handle);

/* Takes what a request function returned: waits where it says PARK or ROOM. True: ask again. */
bool handle_again(struct listener *handle, int err);

/* The result of the ordered request that returned err; value may be NULL. */
int handle_result(struct listener *handle, int err, uint64_t *value);

void handle_poll(struct listener *handle, const char *name);
uint64_t handle_option(struct listener *handle, const char *poll, const char *label);
void handle_worker(struct listener *handle, const char *id, uint32_t slots);

/* Fills a read that edge_read was asked for, and waits for it. */
int handle_read(struct listener *handle, struct read *read);

/* Opens the engine in dir; must succeed. */
struct tally *handle_engine(const char *dir, unsigned edges);
struct tally *handle_engine_with(const struct tally_options *options);

/* A fresh directory below TMPDIR, and its end with all files. */
void torture_dir(char *path, size_t room);
void torture_dir_remove(const char *path);

#endif
