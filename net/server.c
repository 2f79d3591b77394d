/* The server: the life of its I/O threads. */
#include "net/server.h"

#include "engine/edge.h"
#include "net/io/loop.h"
#include "net/pipeline/rate.h"
#include "net/pipeline/shared.h"
#include "wal/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct server {
    struct shared shared;
    struct loop **loops; /* owned, shared.options.threads of them */
    unsigned running;    /* of them; the starting and stopping thread's */
};

static void destroy(struct server *server)
{
    struct shared *shared = &server->shared;
    close(shared->options.listen_fd);
    if (shared->rate != NULL) {
        rate_destroy(shared->rate);
    }
    for (unsigned i = 0; server->loops != NULL && i < shared->options.threads; i++) {
        if (server->loops[i] != NULL) {
            loop_destroy(server->loops[i]);
        }
    }
    auth_fini(&shared->auth);
    free(shared->counters);
    free(server->loops);
    free(server);
}

static void join_loops(struct server *server)
{
    shared_stop(&server->shared);
    for (unsigned i = 0; i < server->running; i++) {
        loop_wake(server->loops[i]);
    }
    for (unsigned i = 0; i < server->running; i++) {
        loop_join(server->loops[i]);
    }
}

/* All are made before the first runs: each reads the counters of the others. */
static int start_loops(struct server *server)
{
    struct shared *shared = &server->shared;
    int err = 0;
    for (unsigned i = 0; i < shared->options.threads && err == 0; i++) {
        err = loop_new(&server->loops[i], shared, i);
        if (err == 0) {
            shared->counters[i] = &server->loops[i]->pipeline.counters;
        }
    }
    while (err == 0 && server->running < shared->options.threads) {
        err = loop_start(server->loops[server->running]);
        server->running += err == 0;
    }
    if (err != 0) {
        join_loops(server);
    }
    return err;
}

static int prepare(struct server *server)
{
    struct shared *shared = &server->shared;
    server->loops = calloc(shared->options.threads, sizeof(struct loop *));
    shared->counters = calloc(shared->options.threads, sizeof(struct counters *));
    if (server->loops == NULL || shared->counters == NULL ||
        rate_new(&shared->rate, tally_ledger(shared->tally)) != 0) {
        return -ENOMEM;
    }
    if (!auth_init(&shared->auth, shared->options.key)) {
        return -EINVAL;
    }
    shared->options.key = NULL; /* the caller's; ours is in auth */
    return 0;
}

int server_start(struct server **out, struct tally *tally, const struct server_options *options)
{
    struct server *server = aligned_alloc(64, sizeof(*server));
    if (server == NULL) {
        close(options->listen_fd);
        return -ENOMEM;
    }
    memset(server, 0, sizeof(*server));
    server->shared.tally = tally;
    server->shared.options = *options;
    server->shared.started_ns = clock_mono_ns();
    int err = prepare(server);
    if (err == 0) {
        err = start_loops(server);
    }
    if (err != 0) {
        destroy(server);
        return err;
    }
    server->shared.options.guests = NULL; /* the caller's; the threads have taken them */
    *out = server;
    return 0;
}

void server_stop(struct server *server)
{
    join_loops(server);
    destroy(server);
}
