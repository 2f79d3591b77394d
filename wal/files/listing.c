/* Which segments a log has: the names in its directory, in order and without a hole. */
#include "wal/read/scan.h"

#include "wal/base/err.h"
#include "wal/read/report.h"
#include "wal/disk/full_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A directory may be listed while a live log makes a new segment: the list can miss one and show
 * the next. So a hole counts only when it is seen so often. */
#define LISTS_MAX 3

int wal_listing_reserve(struct wal_listing *numbers, size_t room)
{
    if (room <= numbers->room) {
        return 0;
    }
    uint64_t *at = realloc(numbers->at, room * sizeof(*at));
    if (at == NULL) {
        return -ENOMEM;
    }
    numbers->at = at;
    numbers->room = room;
    return 0;
}

struct listing {
    struct wal_listing *numbers;
    bool (*is_name)(const char *name, uint64_t *number);
};

static int numbers_add(void *arg, const char *name)
{
    const struct listing *listing = arg;
    struct wal_listing *numbers = listing->numbers;
    uint64_t number;
    if (!listing->is_name(name, &number)) {
        return 0;
    }
    if (numbers->count == numbers->room &&
        wal_listing_reserve(numbers, numbers->room * 2 + 64) != 0) {
        return -ENOMEM;
    }
    numbers->at[numbers->count++] = number;
    return 0;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int wal_listing_read(struct wal_listing *numbers, struct wal_io *io,
                     bool (*is_name)(const char *name, uint64_t *number))
{
    struct listing listing = {numbers, is_name};
    numbers->count = 0;
    int err = io->ops->list(io, numbers_add, &listing);
    if (err == 0 && numbers->count > 0) {
        qsort(numbers->at, numbers->count, sizeof(*numbers->at), by_number);
    }
    return err;
}

void wal_listing_fini(struct wal_listing *numbers)
{
    free(numbers->at);
}

/* Segments are numbered without a hole, and not beyond what is possible. Returns whether they are.
 */
static bool check_numbers(struct wal_scan *scan, bool is_last_try)
{
    if (scan->segments.at[scan->segments.count - 1] > WAL_NUMBER_MAX) {
        char name[WAL_NAME_BYTES];
        wal_segment_name(name, scan->segments.at[scan->segments.count - 1]);
        scan->evidence.misnumbered = true;
        wal_report_note(scan, 3, "%s has a number that no log reaches", name);
        return false;
    }
    for (size_t i = 0; i < scan->segments.count; i++) {
        uint64_t number = scan->segments.at[0] + i;
        if (scan->segments.at[i] == number) {
            continue;
        }
        if (is_last_try) {
            char name[WAL_NAME_BYTES];
            wal_segment_name(name, number);
            scan->evidence.misnumbered = true;
            wal_report_note(scan, 3, "%s is missing: the log goes on with segment %" PRIu64, name,
                            scan->segments.at[i]);
        }
        return false;
    }
    return true;
}

/* Retention takes the first ones meanwhile, and a list can show one that has gone and miss another
 * that went with it; so it is made anew as long as it begins elsewhere than the one before. */
int wal_scan_list(struct wal_scan *scan)
{
    uint64_t first = 0;
    int tries = 0;
    do {
        int err = wal_listing_read(&scan->segments, scan->io, wal_segment_is_name);
        if (err == -ENOMEM) {
            return TALLY_NOMEM;
        }
        if (err != 0) {
            scan->evidence.read_error = true;
            wal_report_note(scan, 1, "cannot list the directory: %s", tally_err_reason(err));
            return 0;
        }
        if (scan->segments.count == 0) {
            return 0;
        }
        tries = scan->segments.at[0] == first ? tries + 1 : 1;
        first = scan->segments.at[0];
    } while (!check_numbers(scan, tries == LISTS_MAX) && tries < LISTS_MAX);
    return 0;
}
