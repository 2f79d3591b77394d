/* A handle for tests: an edge that a thread can sleep on, and blocking forms of its calls. */
#ifndef TALLY_TESTS_ENGINE_HANDLE_H
#define TALLY_TESTS_ENGINE_HANDLE_H

#include "engine/edge/edge_internal.h"
#include "engine/read.h"
#include "engine/engine.h"
#include "tests/lib/expect.h"
#include "tests/lib/files.h"
#include "wal/base/mutant.h"

struct handle {
    struct edge *edge;
    struct lane *lane; /* the lane whose wake word the thread sleeps on */
};

/* A control, a program with one rule broken, runs until the mistake is seen; only the time limit of
 * the test ends it. */
#define IS_CONTROL (TALLY_MUTANT != MUTANT_NONE)

/* Opens an edge for the calling thread and begins a pass; the thread is in a pass until
 * handle_close. */
void handle_open(struct handle *handle, struct tally *tally);
void handle_close(struct handle *handle);

/* Publishes the appended records, ends the pass, and sleeps until a commit has come since the last
 * call. Fails when none comes for 20 s. */
void handle_wait(struct handle *handle);

/* Waits until all appended records are applied, and frees the slots. */
void handle_settle(struct handle *handle);

/* Takes the code that a request returned, and waits if it is PARK or ROOM. True: ask again. */
bool handle_again(struct handle *handle, int err);

/* Repeats the request until it returns neither PARK nor ROOM; err is the last code. */
#define HANDLE_ASK(err, handle, request)                                                           \
    do {                                                                                           \
        (err) = (request);                                                                         \
    } while (handle_again(handle, err))

/* Returns the result of the ordered request that returned err; value may be NULL. */
int handle_result(struct handle *handle, int err, uint64_t *value);

void handle_poll(struct handle *handle, const char *name);
uint64_t handle_option(struct handle *handle, const char *poll, const char *label);
void handle_worker(struct handle *handle, const char *id, uint32_t slots);

/* Runs a read and waits until it is done. */
int handle_read(struct handle *handle, struct read *read);

/* Opens the engine in dir; must succeed. */
struct tally *handle_engine(const char *dir, unsigned edges);
struct tally *handle_engine_with(const struct tally_options *options);

#endif
