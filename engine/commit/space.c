/* What the log and the disk still take: when new changes are refused, and what is kept free. */
#include "engine/engine.h"

#include "wal/base/clock.h"

enum {
    LOOK_NS = 50 * 1000 * 1000, /* between two looks at the disk ... */
    LOOK_BYTES = 1 << 20,       /* ... in which less than this was written */
    SNAPSHOT_REST_BYTES = 1 << 20,
    SNAPSHOTS_KEPT = 2,
};

/* What a snapshot of the state takes at most: it is compressed, and its pages are padded. */
static uint64_t snapshot_bytes_max(const struct tally *tally)
{
    const struct ledger *ledger = &tally->state.ledger;
    uint64_t bytes = ledger_of(ledger, LEDGER_PAYLOADS) + ledger_of(ledger, LEDGER_RESULTS) +
                     ledger_of(ledger, LEDGER_ERRORS) + ledger_of(ledger, LEDGER_ENTITIES);
    return bytes + bytes / 16 + SNAPSHOT_REST_BYTES;
}

static void look_at_disk(struct tally *tally)
{
    struct space *room = &tally->disk;
    uint64_t now_ns = clock_mono_ns();
    uint64_t stored = FIELD_OWN(tally->shared.stored_bytes);
    if (now_ns - room->looked_ns < LOOK_NS && stored - room->looked_stored < LOOK_BYTES) {
        return;
    }
    room->looked_ns = now_ns;
    room->looked_stored = stored;
    room->is_lost = wal_is_lost(tally->wal);
    struct wal_space space;
    if (tally->io->ops->space(tally->io, &space) != 0) {
        space = (struct wal_space){.free_bytes = UINT64_MAX, .total_bytes = UINT64_MAX};
    }
    uint64_t snapshot = snapshot_bytes_max(tally);
    uint64_t left_bytes = space.free_bytes;
    if (FIELD_OWN(tally->shared.snapshot_running) && room->free_after < left_bytes) {
        left_bytes = room->free_after; /* what it has not written yet is spoken for */
    }
    wal_reserve(tally->wal, snapshot + (space.free_bytes - left_bytes));
    room->is_short = left_bytes < snapshot;
    FIELD_PUT(tally->shared.disk_snapshot_bytes, snapshot);
    FIELD_PUT(tally->shared.disk_free_bytes, space.free_bytes);
    FIELD_PUT(tally->shared.disk_total_bytes, space.total_bytes);
    FIELD_PUT(tally->shared.disk_needed_bytes,
              room->log_bytes_min + (SNAPSHOTS_KEPT + 1) * snapshot);
}

void space_init(struct tally *tally)
{
    space_look_soon(tally);
    space_judge(tally);
}

void space_look_soon(struct tally *tally)
{
    tally->disk.looked_stored = UINT64_MAX / 2;
}

void space_put(struct tally *tally, enum space_left room)
{
    /* E5: release; pairs with E6 */
    atomic_store_explicit(&tally->shared.space, (uint32_t)room, memory_order_release);
}

static void tell(struct tally *tally, const char *why)
{
    if (why != tally->disk.told) {
        tally->disk.told = why;
        engine_trouble(tally, why != NULL ? why : "new changes are taken again");
    }
}

static const char full_text[] = "the disk is full: new changes are refused";
static const char lost_text[] =
    "the log is not in its directory any more, somebody has removed it: new changes are refused; "
    "what is in memory can still be read";

/*
 * What the log still takes. Between two looks one block is written, of at most what all lanes can
 * hold, while the lanes fill up again; so with twice that left nothing that was let in can fail to
 * be written. The reserve above it is for completions. On the disk there is to be room for one more
 * snapshot: with it old log can always be made to go.
 */
void space_judge(struct tally *tally)
{
    look_at_disk(tally);
    uint64_t left = wal_room_bytes(tally->wal);
    uint64_t floor = 2 * tally->lane_bytes_all;
    bool full = wal_disk_full(tally->wal);
    enum space_left room = SPACE_PLENTY;
    if (full && left < floor) {
        room = SPACE_NONE;
    } else if (tally->disk.is_short || (full && left < floor + tally->lane_bytes_all)) {
        room = SPACE_RESERVE;
    }
    if (tally->disk.is_lost) {
        room = SPACE_LOST;
        tell(tally, lost_text);
    } else {
        tell(tally, room != SPACE_PLENTY ? full_text : NULL);
    }
    space_put(tally, room);
    /* C1: relaxed: a count publishes nothing */
    atomic_store_explicit(&tally->shared.log_room, left, memory_order_relaxed);
}

bool space_is_lost(struct tally *tally)
{
    look_at_disk(tally);
    if (tally->disk.is_lost) {
        space_judge(tally);
    }
    return tally->disk.is_lost;
}

void space_snapshot_begins(struct tally *tally)
{
    struct space *room = &tally->disk;
    uint64_t free_bytes = FIELD_OWN(tally->shared.disk_free_bytes);
    uint64_t takes_bytes = FIELD_OWN(tally->shared.disk_snapshot_bytes);
    room->free_after = free_bytes > takes_bytes ? free_bytes - takes_bytes : 0;
    space_look_soon(tally);
}

bool space_for_snapshot(const struct tally *tally)
{
    return FIELD_OWN(tally->shared.space) == SPACE_PLENTY &&
           FIELD_OWN(tally->shared.disk_free_bytes) / 2 >=
               FIELD_OWN(tally->shared.disk_snapshot_bytes);
}
