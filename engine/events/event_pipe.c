/* The pipe's chunks. */
#include "engine/events/event_pipe.h"

#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

/* Makes a chunk that takes at least so many bytes. NULL: no memory, or the pipe is too long. */
static struct event_chunk *chunk_new(struct event_pipe *pipe, size_t bytes)
{
    size_t capacity = bytes > EVENT_PIPE_CHUNK_BYTES ? bytes : EVENT_PIPE_CHUNK_BYTES;
    if (event_pipe_bytes(pipe) + capacity >
        ledger_share(pipe->ledger, EVENT_PIPE_SHARE, EVENT_PIPE_BYTES_MAX)) {
        return NULL;
    }
    struct event_chunk *chunk = malloc(sizeof *chunk + capacity);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->capacity = capacity;
    atomic_init(&chunk->next, NULL);
    atomic_init(&chunk->used, 0);
    /* P7: relaxed: a count publishes nothing */
    atomic_fetch_add_explicit(&pipe->bytes, capacity, memory_order_relaxed);
    ledger_add(pipe->ledger, LEDGER_EVENTS, capacity);
    return chunk;
}

static void chunk_free(struct event_pipe *pipe, struct event_chunk *chunk)
{
    /* P7: relaxed: a count publishes nothing */
    atomic_fetch_sub_explicit(&pipe->bytes, chunk->capacity, memory_order_relaxed);
    ledger_sub(pipe->ledger, LEDGER_EVENTS, chunk->capacity);
    free(chunk);
}

int event_pipe_init(struct event_pipe *pipe, struct ledger *ledger)
{
    *pipe = (struct event_pipe){.ledger = ledger};
    pipe->tail = pipe->head = chunk_new(pipe, 0);
    return pipe->head != NULL ? 0 : TALLY_NOMEM;
}

void event_pipe_fini(struct event_pipe *pipe)
{
    while (pipe->head != NULL) {
        /* P4: acquire; pairs with P3 */
        struct event_chunk *next = atomic_load_explicit(&pipe->head->next, memory_order_acquire);
        chunk_free(pipe, pipe->head);
        pipe->head = next;
    }
}

void event_pipe_lose(struct event_pipe *pipe, uint64_t lsn)
{
    /* P5: release; pairs with P6 */
    atomic_store_explicit(&pipe->lost, lsn, memory_order_release);
}

bool event_pipe_begin_chunk(struct event_pipe *pipe, uint64_t last_lsn, size_t bytes)
{
    struct event_chunk *chunk = chunk_new(pipe, bytes);
    if (chunk == NULL) {
        event_pipe_lose(pipe, last_lsn);
        return false;
    }
    /* P3: release; pairs with P4: from here on the writer does not touch the chunk before */
    atomic_store_explicit(&pipe->tail->next, chunk, memory_order_release);
    pipe->tail = chunk;
    return true;
}

/* Goes to the next chunk once this one is taken whole. Returns false when there is nothing more. */
static bool next_chunk(struct event_pipe *pipe)
{
    struct event_chunk *head = pipe->head;
    /* P4: acquire; pairs with P3 */
    struct event_chunk *next = atomic_load_explicit(&head->next, memory_order_acquire);
    /* P2: acquire; pairs with P1: read behind `next`, so that it is final if there is one */
    size_t used = atomic_load_explicit(&head->used, memory_order_acquire);
    if (pipe->taken < used) {
        return true;
    }
    if (next == NULL) {
        return false;
    }
    chunk_free(pipe, head);
    pipe->head = next;
    pipe->taken = 0;
    return true;
}

bool event_pipe_take(struct event_pipe *pipe, struct event_block *block)
{
    /* P2: acquire; pairs with P1 */
    while (pipe->taken == atomic_load_explicit(&pipe->head->used, memory_order_acquire)) {
        if (!next_chunk(pipe)) {
            return false;
        }
    }
    struct event_head head;
    const unsigned char *at = pipe->head->at + pipe->taken;
    memcpy(&head, at, sizeof head);
    at += sizeof head;
    *block = (struct event_block){
        .first_lsn = head.first_lsn,
        .count = head.count,
        .votes = {(const char *)at, head.votes_len},
        .events = {(const char *)at + head.votes_len, head.events_len},
    };
    pipe->taken += (sizeof head + head.votes_len + head.events_len + 7) & ~(size_t)7;
    DCHECK(pipe->taken <= pipe->head->capacity); /* only whole blocks are published */
    return true;
}
