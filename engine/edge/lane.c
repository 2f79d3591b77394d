/* Making and ending a lane. */
#include "engine/edge/lane.h"

#include "wal/base/check.h"

#include <stdlib.h>

struct lane *lane_new(void)
{
    struct lane *lane = aligned_alloc(64, sizeof *lane);
    if (lane == NULL) {
        return NULL;
    }
    *lane = (struct lane){.slots = calloc(LANE_SLOTS, sizeof(struct lane_slot))};
    if (lane->slots == NULL) {
        free(lane);
        return NULL;
    }
    return lane;
}

void lane_destroy(struct lane *lane)
{
    if (lane != NULL) {
        DCHECK(lane->taken <= lane->next && lane->freed <= lane->next);
        free(lane->slots);
        free(lane);
    }
}
