/* A long reply: writes as many of its rows as fit into a piece. */
#include "net/pipeline/reading.h"

#include "wal/base/check.h"

bool reading_rows(struct reading *reading, struct reply *reply, size_t count,
                  void (*put)(const struct reading *reading, size_t row, struct reply *reply))
{
    /* rows are written one by one, and their number does not change */
    CHECK(reading->told <= count);
    while (reading->told < count && !reply_is_full(reply)) {
        reply_row(reply);
        put(reading, reading->told++, reply);
        reply_end(reply);
    }
    return reading->told == count;
}
