/* The end of a log as a recovery's scan has found it, for the repair. */
#include "wal/read/log_end.h"

#include "wal/base/check.h"

void wal_log_end_get(const struct wal_scan *scan, struct wal_log_end *end)
{
    const struct wal_listing *segments = &scan->segments;
    const struct wal_cursor *cursor = &scan->cursor;
    const struct wal_segment_file *file = &scan->file;
    *end = (struct wal_log_end){
        .has_segment = segments->count > 0,
        .next_lsn = cursor->next_lsn,
        .identity = scan->identity,
    };
    if (!end->has_segment) {
        return;
    }
    /* no bytes lead here: a scan whose verdict is to go on ends in a listed segment that is open */
    CHECK(file->number == cursor->number && segments->at[cursor->index] == cursor->number);
    /* nor here: that segment has its full length, or is cut behind its seal (judge_size) */
    CHECK(cursor->offset >= WAL_SEGMENT_FIRST_BLOCK && cursor->offset <= file->size_bytes);
    end->number = cursor->number;
    end->last_number = segments->at[segments->count - 1];
    end->head = file->head;
    end->size_bytes = file->size_bytes;
    end->offset = cursor->offset;
    end->filled_end = scan->findings.tail.filled_end;
    end->is_sealed = cursor->is_sealed;
    end->has_torn_header = scan->findings.evidence.torn_header;
}
