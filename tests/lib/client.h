/* One connection: sends lines, reads whole replies, never waits past a deadline. */
#ifndef TALLY_TESTS_LIB_CLIENT_H
#define TALLY_TESTS_LIB_CLIENT_H

#include "tests/lib/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLIENT_REPLY_MS = 60000 };

/* A whole reply. Points into the client's buffer: good until the next one is read. */
struct reply {
    char *line;  /* the first line, without its CR LF */
    char **rows; /* the lines behind `OK *N` */
    size_t row_count;
    char *blob; /* the bytes behind `$N` of the first line, or of the last row; NUL behind them */
    size_t blob_bytes; /* 0 and NULL without one */
};

struct client {
    int fd;
    char *in;
    size_t in_used, in_room, in_read; /* received, allocated, already handed out */
    char **rows;
    size_t row_room;
    struct reply reply;
    bool is_late;   /* the last read met its deadline */
    bool is_broken; /* the last read met something that is not a reply */
};

/* Connects. client_open fails the test when it cannot; client_try_open returns whether it could.
 * Threads: a client belongs to one thread; client_try_open, client_send, client_read and client_ask
 * never end a test. */
void client_open(struct client *client, const struct server *server);
bool client_try_open(struct client *client, int port);
/* From 127.0.0.host, as if it were another machine; 0: from any address. */
bool client_try_open_from(struct client *client, int port, uint32_t host);
void client_close(struct client *client);

/* Connects `count` clients, one after the other, before anything is sent. */
void client_open_all(struct client *clients, size_t count, const struct server *server);
void client_close_all(struct client *clients, size_t count);

/* Sends raw bytes. Returns false when the peer has closed. */
bool client_write(struct client *client, const void *bytes, size_t len_bytes);

/* Sends one line, and adds its LF. */
bool client_send(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Returns the next whole reply, or NULL: closed, late (is_late) or not a reply (is_broken). */
const struct reply *client_read(struct client *client);

/* client_send and client_read. */
const struct reply *client_ask(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same, but no reply fails the test. */
const struct reply *client_get(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
const struct reply *client_next(struct client *client);

/* Sends a line, expects exactly `reply` as the answer's first line. */
void client_expect(struct client *client, const char *reply, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sends a line, expects `ERR code …`. */
void client_expect_err(struct client *client, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Expects that the peer closes now, without another reply. */
void client_expect_close(struct client *client);

/* Sends `prefix $N`, the bytes, and LF. */
bool client_send_blob(struct client *client, const char *prefix, const void *bytes,
                      size_t len_bytes);

bool reply_is(const struct reply *reply, const char *line);
bool reply_is_ok(const struct reply *reply);
bool reply_is_err(const struct reply *reply, const char *code);

/* Returns word `index` of a line (0 is `OK`) as a number; UINT64_MAX when it is not one. */
uint64_t line_number(const char *line, size_t index);

/* Copies word `index`, or the value of `key=`, to `word` (at most `room` bytes). Returns whether it
 * is there. */
bool line_word(const char *line, size_t index, char *word, size_t room);
bool line_field(const char *line, const char *key, char *word, size_t room);
uint64_t line_field_number(const char *line, const char *key);

#endif
