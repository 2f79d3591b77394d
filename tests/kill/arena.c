/* One mutex, one condition; nobody waits for time to pass. */
#include "tests/kill/arena.h"

#include <string.h>

void arena_init(struct arena *arena)
{
    memset(arena, 0, sizeof(*arena));
    pthread_mutex_init(&arena->lock, NULL);
    pthread_cond_init(&arena->changed, NULL);
}

static void set_port(struct arena *arena, int port)
{
    pthread_mutex_lock(&arena->lock);
    arena->port = port;
    pthread_cond_broadcast(&arena->changed);
    pthread_mutex_unlock(&arena->lock);
}

void arena_open(struct arena *arena, int port)
{
    set_port(arena, port);
}

void arena_shut(struct arena *arena)
{
    set_port(arena, 0);
}

void arena_finish(struct arena *arena)
{
    pthread_mutex_lock(&arena->lock);
    arena->is_over = true;
    pthread_cond_broadcast(&arena->changed);
    pthread_mutex_unlock(&arena->lock);
}

bool arena_await_acked(struct arena *arena, uint64_t more)
{
    pthread_mutex_lock(&arena->lock);
    arena->acked_goal = arena->acked + more;
    while (arena->acked < arena->acked_goal && !arena->is_faulty) {
        pthread_cond_wait(&arena->changed, &arena->lock);
    }
    bool good = !arena->is_faulty;
    pthread_mutex_unlock(&arena->lock);
    return good;
}

bool arena_connect(struct arena *arena, struct client *client)
{
    bool connected = false;
    pthread_mutex_lock(&arena->lock);
    while (!arena->is_over && !connected) {
        /* under the lock, so that the server behind the port cannot have been killed yet */
        connected = arena->port != 0 && client_try_open(client, arena->port);
        if (!connected) {
            pthread_cond_wait(&arena->changed, &arena->lock);
        }
    }
    pthread_mutex_unlock(&arena->lock);
    return connected;
}

bool arena_acked(struct arena *arena, uint64_t count)
{
    pthread_mutex_lock(&arena->lock);
    bool was_below = arena->acked < arena->acked_goal;
    arena->acked += count;
    if (was_below && arena->acked >= arena->acked_goal) {
        pthread_cond_broadcast(&arena->changed);
    }
    bool go_on = !arena->is_over;
    pthread_mutex_unlock(&arena->lock);
    return go_on;
}

void arena_fault(struct arena *arena)
{
    pthread_mutex_lock(&arena->lock);
    arena->is_faulty = true;
    pthread_cond_broadcast(&arena->changed);
    pthread_mutex_unlock(&arena->lock);
}
