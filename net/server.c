/* The server: the life of its I/O threads. */
#include "net/server.h"

#include "engine/edge.h"
#include "net/io/loop.h"
#include "net/pipeline/rate.h"
#include "net/pipeline/service.h"
#include "wal/base/check.h"
#include "wal/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct server {
    struct service service;
    struct loop **loops; /* owned, service.options.threads of them */
    unsigned running;    /* loops whose thread runs; the starting and stopping thread's */
};

static void free_server(struct server *server)
{
    struct service *service = &server->service;
    close(service->options.listen_fd);
    if (service->rate != NULL) {
        rate_destroy(service->rate);
    }
    for (unsigned i = 0; server->loops != NULL && i < service->options.threads; i++) {
        if (server->loops[i] != NULL) {
            loop_destroy(server->loops[i]);
        }
    }
    auth_fini(&service->auth);
    free(service->counters);
    free(server->loops);
    free(server);
}

static void join_loops(struct server *server)
{
    service_stop(&server->service);
    DCHECK(server->running <= server->service.options.threads);
    for (unsigned i = 0; i < server->running; i++) {
        loop_wake(server->loops[i]);
    }
    for (unsigned i = 0; i < server->running; i++) {
        loop_join(server->loops[i]);
    }
}

/* Makes all loops before the first one runs, because each reads the counters of the others. */
static int start_loops(struct server *server)
{
    struct service *service = &server->service;
    int err = 0;
    for (unsigned i = 0; i < service->options.threads && err == 0; i++) {
        err = loop_new(&server->loops[i], service, i);
        if (err == 0) {
            service->counters[i] = &server->loops[i]->pipeline.counters;
        }
    }
    while (err == 0 && server->running < service->options.threads) {
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
    struct service *service = &server->service;
    /* tallyd refuses --threads below 1 */
    CHECK(service->options.threads > 0);
    server->loops = calloc(service->options.threads, sizeof(struct loop *));
    service->counters = calloc(service->options.threads, sizeof(struct counters *));
    if (server->loops == NULL || service->counters == NULL ||
        rate_new(&service->rate, tally_ledger(service->tally)) != 0) {
        return -ENOMEM;
    }
    if (!auth_init(&service->auth, service->options.key)) {
        return -EINVAL;
    }
    service->options.key = NULL; /* the caller's; ours is in auth */
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
    server->service.tally = tally;
    server->service.options = *options;
    server->service.started_ns = clock_mono_ns();
    int err = prepare(server);
    if (err == 0) {
        err = start_loops(server);
    }
    if (err != 0) {
        free_server(server);
        return err;
    }
    server->service.options.guests = NULL; /* the caller's; the threads have taken them */
    *out = server;
    return 0;
}

void server_stop(struct server *server)
{
    join_loops(server);
    free_server(server);
}
