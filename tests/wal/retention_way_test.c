/* Where a reader goes on when its segment is gone: all combinations of the inputs. */
#include "wal/read/retention.h"

#include <criterion/criterion.h>

enum { NEXT_LSN = 10, LSN_MAX = 20 };

/* Written from wal/README.md's table, so that the test is not the same code as retention.c. */
static enum wal_retention_way expected(const struct wal_retention_gap *gap)
{
    bool is_held = gap->rest_lsn >= 1 && gap->snapshot_lsn >= gap->rest_lsn - 1;
    bool is_behind = gap->rest_lsn >= NEXT_LSN;
    if (!is_held || !is_behind) {
        return WAL_RETENTION_LOST;
    }
    if (gap->has_shown && gap->rest_lsn > NEXT_LSN) {
        return gap->is_open ? WAL_RETENTION_NAMELESS : WAL_RETENTION_MISSED;
    }
    return gap->has_shown ? WAL_RETENTION_BEHIND : WAL_RETENTION_RESTART;
}

Test(wal_retention_way, every_combination_has_its_way)
{
    unsigned count[WAL_RETENTION_MISSED + 1] = {0};
    for (uint64_t rest = 0; rest <= LSN_MAX; rest++) {
        for (uint64_t snapshot = 0; snapshot <= LSN_MAX; snapshot++) {
            for (unsigned bits = 0; bits < 4; bits++) {
                const struct wal_retention_gap gap = {
                    .rest_lsn = rest,
                    .snapshot_lsn = snapshot,
                    .next_lsn = NEXT_LSN,
                    .has_shown = bits & 1,
                    .is_open = bits >> 1 & 1,
                };
                enum wal_retention_way way = wal_retention_decide(&gap);
                cr_assert_eq(way, expected(&gap), "rest %d, snapshot %d, bits %u: %d", (int)rest,
                             (int)snapshot, bits, (int)way);
                count[way]++;
            }
        }
    }
    for (unsigned way = 0; way <= WAL_RETENTION_MISSED; way++) {
        cr_expect_gt(count[way], 0, "way %u never is", way);
    }
}
