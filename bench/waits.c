/* tally-waits: how long a VOTE waits while each reading verb is asked in a loop beside it. */
#include "bench/histogram.h"
#include "bench/text.h"

#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

const char *argp_program_version = "tally-waits " TALLY_VERSION;

enum { BATCH = 2000, READ_BYTES = 1 << 20, EXIT_USAGE = 64 };

struct waits_settings {
    unsigned port;
    uint64_t options, builds, workers;
    double seconds;
    uint64_t every_us; /* between two sends of votes */
    uint64_t votes;    /* in each send */
    const char *only;  /* measure only requests that begin so; NULL: all */
};

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "tally-waits: %s: %s\n", what, why);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* ---- a connection ---- */

struct line_conn {
    int fd;
    size_t start, end;
    char in[READ_BYTES];
};

static struct line_conn *conn_open(unsigned port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    struct line_conn *conn = malloc(sizeof *conn);
    if (conn == NULL) {
        fail("memory", strerror(errno));
    }
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    conn->start = conn->end = 0;
    if (conn->fd < 0 || connect(conn->fd, (struct sockaddr *)&to, sizeof to) != 0) {
        fail("cannot connect to 127.0.0.1", strerror(errno));
    }
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return conn;
}

static void conn_close(struct line_conn *conn)
{
    close(conn->fd);
    free(conn);
}

static void conn_send(struct line_conn *conn, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(conn->fd, at, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            fail("send", strerror(errno));
        }
        at += sent;
        len -= (size_t)sent;
    }
}

/* Returns the next line, without its end; it lives until the next call. */
static char *conn_line(struct line_conn *conn)
{
    char *end;
    while ((end = memchr(conn->in + conn->start, '\n', conn->end - conn->start)) == NULL) {
        memmove(conn->in, conn->in + conn->start, conn->end - conn->start);
        conn->end -= conn->start;
        conn->start = 0;
        ssize_t got = recv(conn->fd, conn->in + conn->end, READ_BYTES - conn->end, 0);
        if (got <= 0) {
            fail("receive", got == 0 ? "the server has closed" : strerror(errno));
        }
        conn->end += (size_t)got;
    }
    char *line = conn->in + conn->start;
    conn->start = (size_t)(end + 1 - conn->in);
    *end = '\0';
    return line;
}

/* Reads a whole reply. Returns the number of its lines behind the first. */
static uint64_t conn_reply(struct line_conn *conn)
{
    const char *line = conn_line(conn);
    uint64_t rows = 0;
    if (strncmp(line, "ERR EXISTS", 10) != 0 && strncmp(line, "OK", 2) != 0) {
        fail("a reply", line);
    }
    if (strncmp(line, "OK *", 4) == 0) {
        rows = strtoull(line + 4, NULL, 10);
    }
    for (uint64_t i = 0; i < rows; i++) {
        (void)conn_line(conn);
    }
    return rows;
}

/* ---- the state ---- */

static void fill(struct line_conn *conn, const char *before, const char *behind, uint64_t count)
{
    struct text text = {0};
    for (uint64_t from = 0; from < count; from += BATCH) {
        uint64_t end = from + BATCH < count ? from + BATCH : count;
        text.len = 0;
        for (uint64_t i = from; i < end; i++) {
            text_add_string(&text, before);
            text_add_number(&text, i);
            text_add_string(&text, behind);
        }
        conn_send(conn, text.at, text.len);
        for (uint64_t i = from; i < end; i++) {
            (void)conn_reply(conn);
        }
    }
    text_fini(&text);
}

static void fill_all(const struct waits_settings *settings)
{
    struct line_conn *conn = conn_open(settings->port);
    uint64_t began = now_ns();
    conn_send(conn, "POLL waits\n", 11);
    (void)conn_reply(conn);
    fill(conn, "OPTION waits option-", "\n", settings->options);
    fill(conn, "SUBMIT waits PRI 5 :", "\n", settings->builds);
    fill(conn, "WORKER waits-", "\n", settings->workers);
    printf("%" PRIu64 " options, %" PRIu64 " builds, %" PRIu64 " workers; made in %.1f s\n",
           settings->options, settings->builds, settings->workers,
           (double)(now_ns() - began) / 1e9);
    conn_close(conn);
}

/* ---- the measurement ---- */

struct asking {
    unsigned port;
    const char *request;
    _Atomic bool is_over;
    uint64_t count;
    uint64_t rows;
    struct histogram took_ns;
    pthread_t thread;
};

static void *ask_main(void *arg)
{
    struct asking *asking = arg;
    struct line_conn *conn = conn_open(asking->port);
    /* A1: relaxed: only a flag */
    while (!atomic_load_explicit(&asking->is_over, memory_order_relaxed)) {
        uint64_t began = now_ns();
        conn_send(conn, asking->request, strlen(asking->request));
        asking->rows = conn_reply(conn);
        histogram_add(&asking->took_ns, now_ns() - began, 1);
        asking->count++;
    }
    conn_close(conn);
    return NULL;
}

/* Sends votes at set times, or later if the last ones are not answered by then. */
static void vote_for(const struct waits_settings *settings, struct histogram *waits)
{
    struct line_conn *conn = conn_open(settings->port);
    struct text text = {0};
    uint64_t due = now_ns();
    uint64_t end = due + (uint64_t)(settings->seconds * 1e9);
    uint64_t option = 1;
    while (due < end) {
        struct timespec at = {.tv_sec = (time_t)(due / 1000000000U),
                              .tv_nsec = (long)(due % 1000000000U)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        text.len = 0;
        for (uint64_t i = 0; i < settings->votes; i++) {
            text_add_string(&text, "VOTE ");
            text_add_number(&text, option);
            text_add_string(&text, "\n");
            option = option * 7919 % settings->options + 1;
        }
        uint64_t sent = now_ns();
        conn_send(conn, text.at, text.len);
        for (uint64_t i = 0; i < settings->votes; i++) {
            (void)conn_reply(conn);
        }
        uint64_t now = now_ns();
        histogram_add(waits, now - sent, 1);
        due += settings->every_us * 1000;
        due = due > now ? due : now;
    }
    text_fini(&text);
    conn_close(conn);
}

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static uint64_t measure(const struct waits_settings *settings, const char *request,
                        uint64_t alone_ns)
{
    static struct histogram waits;
    static struct asking asking;
    asking = (struct asking){.port = settings->port, .request = request};
    histogram_clear(&waits);
    if (request != NULL && pthread_create(&asking.thread, NULL, ask_main, &asking) != 0) {
        fail("thread", strerror(errno));
    }
    vote_for(settings, &waits);
    if (request != NULL) {
        /* A1: relaxed: only a flag */
        atomic_store_explicit(&asking.is_over, true, memory_order_relaxed);
        pthread_join(asking.thread, NULL);
    }
    int len = request != NULL ? (int)strcspn(request, "\n") : 0;
    printf("| %.*s | %" PRIu64 " | %" PRIu64
           " | %.2f | %.2f | %.1f | %.2f | %.2f | %.2f | %+.2f |\n",
           len, request != NULL ? request : "", asking.count, asking.rows,
           ms(histogram_at(&asking.took_ns, 0.5)), ms(histogram_at(&asking.took_ns, 0.99)),
           ms(asking.took_ns.max), ms(histogram_at(&waits, 0.5)), ms(histogram_at(&waits, 0.999)),
           ms(waits.max), ms(waits.max) - ms(alone_ns));
    fflush(stdout);
    return waits.max;
}

static void measure_all(const struct waits_settings *settings)
{
    static const char *const requests[] = {
        "TALLY waits TOP 1\n",
        "TALLY waits TOP 20\n",
        "TALLY waits\n",
        "OPTION waits option-7\n",
        "POLLS\n",
        "BUILDS waits COUNT 1000\n",
        "BUILDS waits STATE failed\n",
        "BUILDS * WORKER waits-7 REV\n",
        "BUILD 1\n",
        "QUEUES\n",
        "WORKERS\n",
        "WORKERS waits-7\n",
        "INFO\n",
    };
    printf("| beside | asked | lines | p50 ms | p99 | longest | VOTE p50 ms | p99.9 | longest "
           "| above alone |\n"
           "|---|---|---|---|---|---|---|---|---|---|\n");
    uint64_t alone_ns = measure(settings, NULL, 0);
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        bool wanted = settings->only == NULL ||
                      strncmp(requests[i], settings->only, strlen(settings->only)) == 0;
        if (wanted) {
            (void)measure(settings, requests[i], alone_ns);
        }
    }
    (void)measure(settings, NULL, alone_ns);
}

/* ---- the program ---- */

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct waits_settings *settings = state->input;
    switch (key) {
    case 'p':
        settings->port = (unsigned)strtoul(arg, NULL, 10);
        return 0;
    case 'o':
        settings->options = strtoull(arg, NULL, 10);
        return 0;
    case 'b':
        settings->builds = strtoull(arg, NULL, 10);
        return 0;
    case 'w':
        settings->workers = strtoull(arg, NULL, 10);
        return 0;
    case 's':
        settings->seconds = strtod(arg, NULL);
        return 0;
    case 'e':
        settings->every_us = strtoull(arg, NULL, 10);
        return 0;
    case 'v':
        settings->votes = strtoull(arg, NULL, 10);
        return 0;
    case 'O':
        settings->only = arg;
        return 0;
    case ARGP_KEY_END:
        if (settings->port == 0 || settings->options == 0 || settings->every_us == 0 ||
            settings->votes == 0) {
            argp_error(state, "--port is needed, and options, votes and the time between them");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"port", 'p', "PORT", 0, "Of a tallyd on 127.0.0.1", 0},
        {"options", 'o', "N", 0, "Options of the poll (1000000)", 0},
        {"builds", 'b', "N", 0, "Pending builds (1000000)", 0},
        {"workers", 'w', "N", 0, "Workers (100000)", 0},
        {"seconds", 's', "S", 0, "For each verb (5)", 0},
        {"every", 'e', "US", 0, "Between two sends of votes (1000)", 0},
        {"votes", 'v', "N", 0, "In each send (1)", 0},
        {"only", 'O', "TEXT", 0, "Only requests that begin so", 0},
        {0}};
    const struct argp argp = {
        .options = options,
        .parser = parse_option,
        .doc = "Makes a large state, then votes at set times while one connection asks each "
               "reading verb in a loop, and prints how long a VOTE waited."};
    struct waits_settings settings = {.options = 1000000,
                                      .builds = 1000000,
                                      .workers = 100000,
                                      .seconds = 5,
                                      .every_us = 1000,
                                      .votes = 1};
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &settings);
    fill_all(&settings);
    measure_all(&settings);
    return 0;
}
