/* The pipe: what each block has changed, from the committer to the reader, which remembers it. */
#ifndef TALLY_ENGINE_EVENTS_EVENT_PIPE_H
#define TALLY_ENGINE_EVENTS_EVENT_PIPE_H

#include "engine/base/ledger.h"
#include "wal/base/check.h"
#include "wal/base/mutant.h"
#include "wal/base/span.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 *     reader ── head ──▶ [chunk: block block] ── next ──▶ [chunk: block  .] ◀── tail ── writer
 *
 * A block is put once it is applied: its VOTEs without texts as bytes of the log, which are copied
 * as they are and cost nothing by the vote, and the events of its other records, which apply has
 * told. So the work of making events from votes is the reader's.
 *
 * Synchronization table
 *   used    bytes of a chunk that are blocks: the writer (P1 release), the reader (P2 acquire); the
 *           bytes below never change
 *   next    the chunk behind: set by the writer once, when it writes to this one no more (P3
 *           release), read by the reader (P4 acquire); then `used` is final, so a reader that has
 *           taken all of it may free the chunk
 *   lost    the last lsn of the last block that was not put (P5 release, P6 acquire)
 *   bytes   of all chunks: both, relaxed: a count publishes nothing (P7)
 * One writer, one reader. Progress: wait-free on both sides but for malloc and free. The writer
 * never waits for the reader: a block that would make the pipe longer than EVENT_PIPE_BYTES_MAX,
 * or its share of the ledger's ceiling, is not put, and the reader finds the gap by the lsns, which
 * are dense, or by `lost`.
 * Reclamation: the writer makes chunks, the reader frees them; event_pipe_fini frees the rest.
 */
enum {
    EVENT_PIPE_BYTES_MAX = 16 << 20,
    EVENT_PIPE_SHARE = 4,
    EVENT_PIPE_CHUNK_BYTES = 64 << 10,
};

struct event_block {
    uint64_t first_lsn;
    uint32_t count;     /* records */
    struct span votes;  /* columns_visit_votes; empty: it has none */
    struct span events; /* engine/log/event.h */
};

/* Blocks, one behind the other: a head, the votes, the events, and bytes up to the next multiple of
 * 8. */
struct event_chunk {
    _Atomic(struct event_chunk *) next;
    _Atomic size_t used;
    size_t capacity;
    _Alignas(8) unsigned char at[];
};

struct event_head {
    uint64_t first_lsn;
    uint64_t events_len;
    uint32_t votes_len;
    uint32_t count;
};

struct event_pipe {
    /* the writer's */
    struct event_chunk *tail;
    _Atomic uint64_t lost;
    /* the reader's */
    _Alignas(64) struct event_chunk *head;
    size_t taken; /* bytes of head */
    /* both */
    _Alignas(64) _Atomic uint64_t bytes;
    struct ledger *ledger; /* borrowed; written once */
};

/* Errors: NOMEM; call fini in any case. */
int event_pipe_init(struct event_pipe *pipe, struct ledger *ledger);
void event_pipe_fini(struct event_pipe *pipe);

/* Goes on in a new chunk that takes so many bytes. Returns false without memory, or when the pipe
 * is too long: then the block, up to this lsn, is lost. Threads: the writer. */
bool event_pipe_begin_chunk(struct event_pipe *pipe, uint64_t last_lsn, size_t bytes);

/* Puts a block; its bytes are copied. Returns whether the reader should be woken, which is once a
 * chunk. Threads: the writer. */
static inline bool event_pipe_put(struct event_pipe *pipe, const struct event_block *block)
{
    size_t bytes =
        (sizeof(struct event_head) + block->votes.len + block->events.len + 7) & ~(size_t)7;
    /* P1: relaxed: own writes */
    size_t used = atomic_load_explicit(&pipe->tail->used, memory_order_relaxed);
    bool is_new = pipe->tail->capacity - used < bytes;
    DCHECK(block->count > 0 && block->first_lsn > 0);
    if (is_new && !event_pipe_begin_chunk(pipe, block->first_lsn + block->count - 1, bytes)) {
        return true;
    }
    used = is_new ? 0 : used;
    struct event_head *head = (struct event_head *)(void *)(pipe->tail->at + used);
    if (MUTANT(MUTANT_EVENT_EARLY)) {
        /* P1: release; pairs with P2 */
        atomic_store_explicit(&pipe->tail->used, used + bytes, memory_order_release);
        mutant_pause(true);
    }
    head->first_lsn = block->first_lsn;
    head->events_len = block->events.len;
    head->votes_len = (uint32_t)block->votes.len;
    head->count = block->count;
    unsigned char *at = (unsigned char *)(head + 1);
    if (block->votes.len > 0) {
        memcpy(at, block->votes.at, block->votes.len);
    }
    if (block->events.len > 0) {
        memcpy(at + block->votes.len, block->events.at, block->events.len);
    }
    /* P1: release; pairs with P2 */
    atomic_store_explicit(&pipe->tail->used, used + bytes, memory_order_release);
    return is_new;
}

/* Notes that the records up to an lsn are not put. Threads: the writer. */
void event_pipe_lose(struct event_pipe *pipe, uint64_t lsn);

/* Takes the next block; its spans live until the next call. Returns false when there is none.
 * Threads: the reader. */
bool event_pipe_take(struct event_pipe *pipe, struct event_block *block);

static inline uint64_t event_pipe_lost(const struct event_pipe *pipe)
{
    /* P6: acquire; pairs with P5 */
    return atomic_load_explicit(&pipe->lost, memory_order_acquire);
}

static inline uint64_t event_pipe_bytes(const struct event_pipe *pipe)
{
    /* P7: relaxed: a count publishes nothing */
    return atomic_load_explicit(&pipe->bytes, memory_order_relaxed);
}

#endif
