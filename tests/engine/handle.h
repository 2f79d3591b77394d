/* An edge with its own way to sleep, and the blocking forms of its calls that the tests share. */
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
    struct lane *lane; /* where the edge sleeps */
};

/* A program with one rule broken goes on until that is heard, however long it takes: only the time
 * limit of the test ends it. */
#define IS_CONTROL (TALLY_MUTANT != MUTANT_NONE)

/* Opens an edge for the calling thread and begins a pass: from here to handle_close it is in one.
 */
void handle_open(struct handle *handle, struct tally *tally);
void handle_close(struct handle *handle);

/* Hands over what was appended, ends the pass, and sleeps until a commit has come since the last
 * look. Fails when none comes for 20 s. */
void handle_wait(struct handle *handle);

/* Waits until all that was appended is applied, and frees the slots. */
void handle_settle(struct handle *handle);

/* Takes what a request function returned: waits where it says PARK or ROOM. True: ask again. */
bool handle_again(struct handle *handle, int err);

/* Makes the request until it need not be asked again; err is what it returned at last. */
#define HANDLE_ASK(err, handle, request)                                                           \
    do {                                                                                           \
        (err) = (request);                                                                         \
    } while (handle_again(handle, err))

/* The result of the ordered request that returned err; value may be NULL. */
int handle_result(struct handle *handle, int err, uint64_t *value);

void handle_poll(struct handle *handle, const char *name);
uint64_t handle_option(struct handle *handle, const char *poll, const char *label);
void handle_worker(struct handle *handle, const char *id, uint32_t slots);

/* Fills a read that edge_read was asked for, and waits for it. */
int handle_read(struct handle *handle, struct read *read);

/* Opens the engine in dir; must succeed. */
struct tally *handle_engine(const char *dir, unsigned edges);
struct tally *handle_engine_with(const struct tally_options *options);

#endif
