/* Where the clients meet the server that is killed: its port, its replies, the end. */
#ifndef TALLY_TESTS_KILL_ARENA_H
#define TALLY_TESTS_KILL_ARENA_H

#include "tests/lib/client.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct arena {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    int port; /* 0: nobody serves */
    uint64_t acked;
    uint64_t acked_goal; /* whoever passes it wakes the killer */
    bool is_over;
    bool is_faulty; /* a client has met what must not happen */
};

void arena_init(struct arena *arena);

/* The killer: a server is there; nobody may connect any more (say so before the kill, or a client
 * may meet a stranger on the same port); no more requests after those under way. */
void arena_open(struct arena *arena, int port);
void arena_shut(struct arena *arena);
void arena_finish(struct arena *arena);

/* Waits until `more` further replies have been acknowledged. Returns false when a client has met a
 * fault. */
bool arena_await_acked(struct arena *arena, uint64_t more);

/* A client: waits for a server and connects to it. Returns false when it is over. */
bool arena_connect(struct arena *arena, struct client *client);

/* A client: counts acknowledged replies. Returns whether to go on. */
bool arena_acked(struct arena *arena, uint64_t count);

void arena_fault(struct arena *arena);

#endif
