/* The server: the life of its I/O threads. */
#include "net/server.h"

#include "net/io/loop.h"
#include "net/pipeline/rate.h"
#include "net/server_state.h"
#include "wal/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void destroy(struct server *server)
{
    close(server->options.listen_fd);
    if (server->rate != NULL) {
        rate_destroy(server->rate);
    }
    for (unsigned i = 0; server->loops != NULL && i < server->options.threads; i++) {
        if (server->loops[i] != NULL) {
            loop_destroy(server->loops[i]);
        }
    }
    auth_fini(&server->auth);
    free(server->loops);
    free(server);
}

static void join_loops(struct server *server)
{
    /* S2: release: pairs with S1 */
    atomic_store_explicit(&server->stopping, true, memory_order_release);
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
    int err = 0;
    for (unsigned i = 0; i < server->options.threads && err == 0; i++) {
        err = loop_new(&server->loops[i], server);
    }
    while (err == 0 && server->running < server->options.threads) {
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
    server->loops = calloc(server->options.threads, sizeof(struct loop *));
    if (server->loops == NULL || rate_new(&server->rate, tally_ledger(server->tally)) != 0) {
        return -ENOMEM;
    }
    if (!auth_init(&server->auth, server->options.key)) {
        return -EINVAL;
    }
    server->options.key = NULL; /* the caller's; ours is in auth */
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
    server->tally = tally;
    server->options = *options;
    server->started_ns = clock_mono_ns();
    int err = prepare(server);
    if (err == 0) {
        err = start_loops(server);
    }
    if (err != 0) {
        destroy(server);
        return err;
    }
    server->options.guests = NULL; /* the caller's; the threads have taken them */
    *out = server;
    return 0;
}

void server_stop(struct server *server)
{
    join_loops(server);
    destroy(server);
}
