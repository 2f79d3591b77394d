/* The client's end of a connection: whole replies out of a stream of bytes. */
#include "tests/lib/client.h"

#include "tests/lib/check.h"
#include "tests/lib/wait.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_STEP_BYTES = 65536 };

bool client_try_open(struct client *client, int port)
{
    return client_try_open_from(client, port, 0);
}

bool client_try_open_from(struct client *client, int port, uint32_t host)
{
    int one = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    from.sin_addr.s_addr = htonl(host != 0 ? INADDR_LOOPBACK - 1 + host : INADDR_ANY);
    memset(client, 0, sizeof(*client));
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0) {
        return false;
    }
    if ((host != 0 && bind(client->fd, (struct sockaddr *)&from, sizeof(from)) != 0) ||
        connect(client->fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        close(client->fd);
        client->fd = -1;
        return false;
    }
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return true;
}

void client_open(struct client *client, const struct server *server)
{
    bool opened = client_try_open(client, server->port);
    EXPECT(opened, "cannot connect to port %d: %s", server->port, strerror(errno));
}

void client_close(struct client *client)
{
    if (client->fd >= 0) {
        close(client->fd);
    }
    free(client->in);
    free(client->rows);
    memset(client, 0, sizeof(*client));
    client->fd = -1;
}

void client_open_all(struct client *clients, size_t count, const struct server *server)
{
    for (size_t i = 0; i < count; i++) {
        client_open(&clients[i], server);
    }
}

void client_close_all(struct client *clients, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        client_close(&clients[i]);
    }
}

bool client_write(struct client *client, const void *bytes, size_t len_bytes)
{
    const char *next = bytes;
    while (len_bytes > 0) {
        ssize_t sent = send(client->fd, next, len_bytes, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent <= 0) {
            return false;
        }
        next += sent;
        len_bytes -= (size_t)sent;
    }
    return true;
}

__attribute__((format(printf, 2, 0))) static bool send_line(struct client *client,
                                                            const char *format, va_list args)
{
    char small[1024];
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(small, sizeof(small), format, args);
    char *line = small;
    if ((size_t)length + 1 >= sizeof(small)) {
        line = malloc((size_t)length + 2);
        vsnprintf(line, (size_t)length + 1, format, again);
    }
    va_end(again);
    line[length] = '\n';
    bool sent = client_write(client, line, (size_t)length + 1);
    if (line != small) {
        free(line);
    }
    return sent;
}

bool client_send(struct client *client, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool sent = send_line(client, format, args);
    va_end(args);
    return sent;
}

bool client_send_blob(struct client *client, const char *prefix, const void *bytes,
                      size_t len_bytes)
{
    return client_send(client, "%s $%zu", prefix, len_bytes) &&
           client_write(client, bytes, len_bytes) && client_write(client, "\n", 1);
}

/* What a walk over received bytes found. */
enum walk { WHOLE, PARTIAL, BROKEN };

/* Finds the line at `*at`: its end, and where the next one starts. */
static enum walk walk_line(const struct client *client, size_t *at, size_t *end)
{
    const char *start = client->in + *at;
    const char *lf = memchr(start, '\n', client->in_used - *at);
    if (lf == NULL) {
        return PARTIAL;
    }
    if (lf == start || lf[-1] != '\r') {
        return BROKEN;
    }
    *end = (size_t)(lf - 1 - client->in);
    *at = (size_t)(lf + 1 - client->in);
    return WHOLE;
}

/* If the line ends in ` $N`, walks over the N bytes and their CR LF. */
static enum walk walk_blob(const struct client *client, size_t line_start, size_t line_end,
                           size_t *at, size_t *blob_bytes)
{
    size_t dollar = line_end;
    while (dollar > line_start && client->in[dollar - 1] >= '0' && client->in[dollar - 1] <= '9') {
        dollar--;
    }
    *blob_bytes = SIZE_MAX;
    if (dollar == line_end || dollar < line_start + 2 || client->in[dollar - 1] != '$' ||
        client->in[dollar - 2] != ' ') {
        return WHOLE;
    }
    size_t len_bytes = strtoul(client->in + dollar, NULL, 10);
    if (client->in_used - *at < len_bytes + 2) {
        return PARTIAL;
    }
    if (memcmp(client->in + *at + len_bytes, "\r\n", 2) != 0) {
        return BROKEN;
    }
    *blob_bytes = len_bytes;
    *at += len_bytes + 2;
    return WHOLE;
}

static void keep_row(struct client *client, size_t index, char *row)
{
    if (index >= client->row_room) {
        client->row_room = (index + 1) * 2;
        client->rows = realloc(client->rows, client->row_room * sizeof(*client->rows));
    }
    client->rows[index] = row;
}

/* Walks over one line and its blob. With `take` it also ends them with NUL, which only a whole
 * reply may have. */
static enum walk walk_item(struct client *client, size_t *at, bool take, char **line)
{
    size_t start = *at, end, blob_at, blob_bytes;
    enum walk found = walk_line(client, at, &end);
    if (found != WHOLE) {
        return found;
    }
    blob_at = *at;
    found = walk_blob(client, start, end, at, &blob_bytes);
    if (found != WHOLE) {
        return found;
    }
    *line = client->in + start;
    if (take) {
        client->in[end] = '\0';
        if (blob_bytes != SIZE_MAX) {
            client->reply.blob = client->in + blob_at;
            client->reply.blob_bytes = blob_bytes;
            client->reply.blob[blob_bytes] = '\0';
        }
    }
    return WHOLE;
}

static enum walk walk_reply(struct client *client, bool take)
{
    size_t at = client->in_read, rows = 0;
    char *line;
    enum walk found = walk_item(client, &at, take, &line);
    if (found != WHOLE) {
        return found;
    }
    if (strncmp(line, "OK *", 4) == 0) {
        rows = strtoul(line + 4, NULL, 10);
    }
    for (size_t i = 0; i < rows; i++) {
        char *row;
        found = walk_item(client, &at, take, &row);
        if (found != WHOLE) {
            return found;
        }
        if (take) {
            keep_row(client, i, row);
        }
    }
    if (take) {
        client->reply.line = line;
        client->reply.rows = client->rows;
        client->reply.row_count = rows;
        client->in_read = at;
    }
    return WHOLE;
}

/* Returns 1 when bytes came, 0 when the peer has closed, -1 when the deadline passed first. */
static int receive(struct client *client, uint64_t deadline_ms)
{
    if (client->in_read > 0) {
        client->in_used -= client->in_read;
        memmove(client->in, client->in + client->in_read, client->in_used);
        client->in_read = 0;
    }
    if (client->in_room - client->in_used < READ_STEP_BYTES) {
        client->in_room = (client->in_room + READ_STEP_BYTES) * 2;
        client->in = realloc(client->in, client->in_room + 1);
    }
    for (;;) {
        struct pollfd in = {.fd = client->fd, .events = POLLIN};
        int ready = poll(&in, 1, wait_left_ms(deadline_ms));
        if (ready == 0) {
            return -1;
        }
        ssize_t got = ready < 0 ? -1
                                : recv(client->fd, client->in + client->in_used,
                                       client->in_room - client->in_used, 0);
        if (got > 0) {
            client->in_used += (size_t)got;
            return 1;
        }
        if (got == 0 || errno != EINTR) {
            return 0;
        }
    }
}

const struct reply *client_read(struct client *client)
{
    uint64_t deadline_ms = wait_now_ms() + CLIENT_REPLY_MS;
    client->is_late = false;
    for (;;) {
        enum walk found = client->in_used > client->in_read ? walk_reply(client, false) : PARTIAL;
        if (found == WHOLE) {
            memset(&client->reply, 0, sizeof(client->reply));
            walk_reply(client, true);
            return &client->reply;
        }
        client->is_broken = found == BROKEN;
        int received = found == BROKEN ? 0 : receive(client, deadline_ms);
        if (received <= 0) {
            client->is_late = received < 0;
            return NULL;
        }
    }
}

const struct reply *client_next(struct client *client)
{
    const struct reply *reply = client_read(client);
    EXPECT(reply != NULL, "no reply: %s",
           client->is_late     ? "none came in time"
           : client->is_broken ? "what came is not a reply"
                               : "the server closed the connection");
    return reply;
}

const struct reply *client_ask(struct client *client, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool sent = send_line(client, format, args);
    va_end(args);
    return sent ? client_read(client) : NULL;
}

const struct reply *client_get(struct client *client, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool sent = send_line(client, format, args);
    va_end(args);
    EXPECT(sent, "the server closed the connection before '%s'", format);
    return client_next(client);
}

void client_expect(struct client *client, const char *line, const char *format, ...)
{
    char request[256];
    va_list args;
    va_start(args, format);
    bool sent = send_line(client, format, args);
    va_end(args);
    va_start(args, format);
    vsnprintf(request, sizeof(request), format, args);
    va_end(args);
    EXPECT(sent, "the server closed the connection before '%s'", request);
    const struct reply *reply = client_next(client);
    EXPECT(reply_is(reply, line), "'%s' gave '%s', not '%s'", request, reply->line, line);
}

void client_expect_err(struct client *client, const char *code, const char *format, ...)
{
    char request[256];
    va_list args;
    va_start(args, format);
    bool sent = send_line(client, format, args);
    va_end(args);
    va_start(args, format);
    vsnprintf(request, sizeof(request), format, args);
    va_end(args);
    EXPECT(sent, "the server closed the connection before '%s'", request);
    const struct reply *reply = client_next(client);
    EXPECT(reply_is_err(reply, code), "'%s' gave '%s', not ERR %s", request, reply->line, code);
}

void client_expect_close(struct client *client)
{
    const struct reply *reply = client_read(client);
    EXPECT(reply == NULL, "a reply '%s' where the connection should close", reply->line);
    EXPECT(!client->is_late, "the connection stays open");
    EXPECT(!client->is_broken, "bytes that are no reply where the connection should close");
}
