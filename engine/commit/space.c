/* The space of log and disk: looks at the disk, and judges which changes the log still takes. */
#include "engine/commit/space.h"

#include "engine/base/alarm.h"
#include "wal/base/check.h"
#include "wal/base/clock.h"

enum {
    LOOK_NS = 50 * 1000 * 1000, /* between two looks at the disk, */
    LOOK_BYTES = 1 << 20,       /* unless so much was written since */
    SNAPSHOT_REST_BYTES = 1 << 20,
    SNAPSHOTS_KEPT = 2,
};

/* Bytes of a snapshot on the disk, at most. Compression makes it smaller, the padding of its pages
 * a little larger. */
static uint64_t snapshot_bytes_max(const struct space *space)
{
    const struct ledger *ledger = &space->state->ledger;
    uint64_t bytes = ledger_of(ledger, LEDGER_PAYLOADS) + ledger_of(ledger, LEDGER_RESULTS) +
                     ledger_of(ledger, LEDGER_ERRORS) + ledger_of(ledger, LEDGER_ENTITIES);
    return bytes + bytes / 16 + SNAPSHOT_REST_BYTES;
}

static void look_at_disk(struct space *space, uint64_t now_ns)
{
    uint64_t stored = FIELD_OWN(space->shared->stored_bytes);
    if (now_ns - space->looked_ns < LOOK_NS && stored - space->looked_stored < LOOK_BYTES) {
        return;
    }
    space->looked_ns = now_ns;
    space->looked_stored = stored;
    space->is_lost = wal_is_lost(space->wal);
    struct wal_space disk;
    if (space->io->ops->space(space->io, &disk) != 0) {
        disk = (struct wal_space){.free_bytes = UINT64_MAX, .total_bytes = UINT64_MAX};
    }
    uint64_t snapshot = snapshot_bytes_max(space);
    uint64_t left_bytes = disk.free_bytes;
    if (FIELD_OWN(space->shared->snapshot_running) && space->free_after < left_bytes) {
        left_bytes = space->free_after; /* the snapshot that runs takes the rest */
    }
    wal_reserve(space->wal, snapshot + (disk.free_bytes - left_bytes));
    space->is_short = left_bytes < snapshot;
    FIELD_PUT(space->shared->disk_snapshot_bytes, snapshot);
    FIELD_PUT(space->shared->disk_free_bytes, disk.free_bytes);
    FIELD_PUT(space->shared->disk_total_bytes, disk.total_bytes);
    FIELD_PUT(space->shared->disk_needed_bytes,
              space->log_bytes_min + (SNAPSHOTS_KEPT + 1) * snapshot);
}

void space_start(struct space *space)
{
    /* engine.c has made the segments so large, whatever the options say */
    CHECK(space->log_bytes_min >= 4 * space->lane_bytes_all);
    space_look_soon(space);
    space_judge(space, clock_mono_ns());
}

void space_look_soon(struct space *space)
{
    space->looked_stored = UINT64_MAX / 2;
}

void space_put(struct space *space, enum space_left left)
{
    /* E5: release; pairs with E6 */
    atomic_store_explicit(&space->shared->space, (uint32_t)left, memory_order_release);
}

static void tell_space(struct space *space, const char *why)
{
    if (why != space->told) {
        space->told = why;
        alarm_trouble(space->options, why != NULL ? why : "new changes are taken again");
    }
}

static const char full_text[] = "the disk is full: new changes are refused";
static const char lost_text[] =
    "the log is not in its directory any more, somebody has removed it: new changes are refused; "
    "what is in memory can still be read";

/*
 * Between two looks one block is written, of at most the records that all lanes can hold, while the
 * lanes fill up again. So as long as the log takes twice that many, every record that was let in
 * can be written. The reserve above that is for ends of claims. In addition the disk keeps space
 * for one more snapshot, because old log can be removed only after a snapshot.
 */
void space_judge(struct space *space, uint64_t now_ns)
{
    look_at_disk(space, now_ns);
    uint64_t left_bytes = wal_room_bytes(space->wal);
    uint64_t floor = 2 * space->lane_bytes_all;
    bool full = wal_disk_full(space->wal);
    enum space_left left = SPACE_PLENTY;
    if (full && left_bytes < floor) {
        left = SPACE_NONE;
    } else if (space->is_short || (full && left_bytes < floor + space->lane_bytes_all)) {
        left = SPACE_RESERVE;
    }
    if (space->is_lost) {
        left = SPACE_LOST;
        tell_space(space, lost_text);
    } else {
        tell_space(space, left != SPACE_PLENTY ? full_text : NULL);
    }
    space_put(space, left);
    /* C1: relaxed: a count publishes nothing */
    atomic_store_explicit(&space->shared->log_room, left_bytes, memory_order_relaxed);
}

bool space_is_lost(struct space *space)
{
    uint64_t now_ns = clock_mono_ns();
    look_at_disk(space, now_ns);
    if (space->is_lost) {
        space_judge(space, now_ns);
    }
    return space->is_lost;
}

void space_snapshot_begins(struct space *space)
{
    uint64_t free_bytes = FIELD_OWN(space->shared->disk_free_bytes);
    uint64_t takes_bytes = FIELD_OWN(space->shared->disk_snapshot_bytes);
    space->free_after = free_bytes > takes_bytes ? free_bytes - takes_bytes : 0;
    space_look_soon(space);
}

bool space_for_snapshot(const struct space *space)
{
    return FIELD_OWN(space->shared->space) == SPACE_PLENTY &&
           FIELD_OWN(space->shared->disk_free_bytes) / 2 >=
               FIELD_OWN(space->shared->disk_snapshot_bytes);
}
