/* SNAPSHOT at the edge: takes a ticket, and asks whether it is answered. */
#include "engine/edge/edge_internal.h"
#include "wal/base/check.h"

int edge_snapshot(struct edge *edge, uint64_t *ticket, struct edge_snapshot *done)
{
    struct shared *shared = edge->shared;
    /* E6: acquire; pairs with E5 */
    bool is_lost = atomic_load_explicit(&shared->space, memory_order_acquire) == SPACE_LOST;
    if (is_lost) {
        *ticket = 0;
        return TALLY_READONLY;
    }
    if (*ticket == 0) {
        /* E15: acq_rel; pairs with E14 */
        *ticket = atomic_fetch_add_explicit(&shared->snapshot_asked, 1, memory_order_acq_rel) + 1;
        wake_up(&shared->wake);
        return TALLY_PARK;
    }
    if (FIELD_GET(shared->snapshot_served) < *ticket) {
        return TALLY_PARK;
    }
    bool is_good = *ticket <= FIELD_GET(shared->snapshot_good);
    *ticket = 0;
    const struct snapshot_made *made = FIELD_GET(shared->snapshot_made);
    DCHECK(made != NULL); /* it is set at the start */
    *done = (struct edge_snapshot){.lsn = made->lsn, .bytes = made->bytes};
    return is_good ? 0 : TALLY_IO;
}
