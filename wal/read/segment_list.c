/* The list of a log's segments: the names in its directory, in order and without a hole. */
#include "wal/read/segment_list.h"

#include "wal/base/err.h"
#include "wal/format/segment.h"

#include <errno.h>
#include <inttypes.h>

/* A directory may be listed while a live log makes a new segment: the list can lack one segment and
 * show the next. So a hole counts only when so many lists show it. */
#define LISTS_MAX 3

/* Returns whether the segments are numbered without a hole and below WAL_NUMBER_MAX. */
static bool check_numbers(const struct wal_listing *segments, bool is_last_try,
                          struct wal_findings *findings)
{
    char name[WAL_NAME_BYTES];
    if (segments->at[segments->count - 1] > WAL_NUMBER_MAX) {
        wal_segment_name(name, segments->at[segments->count - 1]);
        wal_findings_add(findings, WAL_SIGN_MISNUMBERED, "%s has a number that no log reaches",
                         name);
        return false;
    }
    for (size_t i = 0; i < segments->count; i++) {
        uint64_t number = segments->at[0] + i;
        if (segments->at[i] == number) {
            continue;
        }
        if (is_last_try) {
            wal_segment_name(name, number);
            wal_findings_add(findings, WAL_SIGN_MISNUMBERED,
                             "%s is missing: the log goes on with segment %" PRIu64, name,
                             segments->at[i]);
        }
        return false;
    }
    return true;
}

/* Retention may remove the first segments during a listing: the list can show one removed segment
 * and lack another. So it is made anew until two lists begin with the same segment. */
int wal_segment_list_read(struct wal_listing *segments, struct wal_io *io,
                          struct wal_findings *findings)
{
    uint64_t first = 0;
    int tries = 0;
    do {
        int err = wal_listing_read(segments, io, wal_segment_is_name);
        if (err == -ENOMEM) {
            return TALLY_NOMEM;
        }
        if (err != 0) {
            wal_findings_failed(findings, "cannot list the directory", err);
            return 0;
        }
        if (segments->count == 0) {
            return 0;
        }
        tries = segments->at[0] == first ? tries + 1 : 1;
        first = segments->at[0];
    } while (!check_numbers(segments, tries == LISTS_MAX, findings) && tries < LISTS_MAX);
    return 0;
}
