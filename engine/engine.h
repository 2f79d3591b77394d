/* The engine as a whole: the struct that owns its parts. For engine.c and for tests; no part
 * includes it. */
#ifndef TALLY_ENGINE_ENGINE_H
#define TALLY_ENGINE_ENGINE_H

#include "engine/commit/committer.h"
#include "engine/edge/edges.h"
#include "engine/edge/shared.h"
#include "engine/events/event_store.h"
#include "engine/state/state.h"
#include "engine/tally.h"
#include "wal/wal.h"

/*
 *     edges (threads) ── lanes ──▶ committer (one thread) ── blocks ──▶ wal
 *         │  ▲                        │
 *         │  └── shared ◀─────────────┤
 *         └─ read ──▶ state ◀─ apply ─┘
 *
 * The header of each part says which thread may touch which field: edges.h, shared.h, state.h,
 * committer.h.
 */
struct tally {
    struct tally_options options;
    struct wal_io *io;
    bool io_is_ours;
    struct wal *wal;
    struct edges edges;
    struct shared shared;
    struct state state;
    struct event_store events; /* what has happened */
    struct committer committer;
};

#endif
