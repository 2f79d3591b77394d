/* The server: its listening socket and the life of its I/O threads. */
#include "net/server.h"

#include "net/loop.h"
#include "net/rate.h"
#include "net/server_state.h"
#include "wal/base/clock.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024, PORT_TEXT_BYTES = 8 };

static int resolve(const struct server_options *options, struct addrinfo **out)
{
    char port[PORT_TEXT_BYTES];
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    snprintf(port, sizeof(port), "%u", (unsigned)options->port);
    int err = getaddrinfo(options->bind, port, &hints, out);
    if (err == 0) {
        return 0;
    }
    return err == EAI_MEMORY ? -ENOMEM : -EADDRNOTAVAIL;
}

static int listen_on(const struct server_options *options)
{
    struct addrinfo *found;
    int one = 1;
    int err = resolve(options, &found);
    if (err != 0) {
        return err;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        err = -errno;
    } else if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
               bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        err = -errno;
        close(fd);
    }
    freeaddrinfo(found);
    return err != 0 ? err : fd;
}

static void tell_address(int fd, char *address, size_t address_bytes)
{
    struct sockaddr_storage at;
    socklen_t at_len = sizeof(at);
    char host[NI_MAXHOST] = "?";
    char port[NI_MAXSERV] = "?";
    if (getsockname(fd, (struct sockaddr *)&at, &at_len) == 0) {
        getnameinfo((struct sockaddr *)&at, at_len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV);
    }
    snprintf(address, address_bytes, strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
}

static void destroy(struct server *server)
{
    if (server->listen_fd >= 0) {
        close(server->listen_fd);
    }
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
    if (server->loops == NULL || rate_new(&server->rate) != 0) {
        return -ENOMEM;
    }
    if (!auth_init(&server->auth, server->options.key)) {
        return -EINVAL;
    }
    server->options.key = NULL; /* the caller's; ours is in auth */
    server->listen_fd = listen_on(&server->options);
    return server->listen_fd < 0 ? server->listen_fd : 0;
}

int server_start(struct server **out, struct tally *tally, const struct server_options *options,
                 char *address, size_t address_bytes)
{
    struct server *server = aligned_alloc(64, sizeof(*server));
    if (server == NULL) {
        return -ENOMEM;
    }
    memset(server, 0, sizeof(*server));
    server->tally = tally;
    server->options = *options;
    server->listen_fd = -1;
    server->started_ns = clock_mono_ns();
    int err = prepare(server);
    if (err == 0) {
        err = start_loops(server);
    }
    if (err != 0) {
        destroy(server);
        return err;
    }
    tell_address(server->listen_fd, address, address_bytes);
    *out = server;
    return 0;
}

void server_stop(struct server *server)
{
    join_loops(server);
    destroy(server);
}
