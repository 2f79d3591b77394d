/* Which segments a log has: the names in its directory, in order and without a hole. */
#include "wal/scan.h"

#include "wal/base/err.h"
#include "wal/tell.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A directory may be listed while a live log makes a new segment: the list can miss one and show
 * the next. So a hole counts only when it is seen so often. */
#define LISTS_MAX 3

static int list_add(void *arg, const char *name)
{
    struct wal_scan *scan = arg;
    uint64_t number;
    if (!wal_segment_is_name(name, &number)) {
        return 0;
    }
    if (scan->count == scan->room) {
        size_t room = scan->room == 0 ? 64 : scan->room * 2;
        uint64_t *numbers = realloc(scan->numbers, room * sizeof(*numbers));
        if (numbers == NULL) {
            return -ENOMEM;
        }
        scan->numbers = numbers;
        scan->room = room;
    }
    scan->numbers[scan->count++] = number;
    return 0;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Segments are numbered without a hole. Returns whether they are. */
static bool check_numbers(struct wal_scan *scan, bool is_last_try)
{
    for (size_t i = 0; i < scan->count; i++) {
        uint64_t number = scan->numbers[0] + i;
        if (scan->numbers[i] == number) {
            continue;
        }
        if (is_last_try) {
            char name[WAL_NAME_BYTES];
            wal_segment_name(name, number);
            scan->signs.misnumbered = true;
            wal_tell_note(scan, 3, "%s is missing: the log goes on with segment %" PRIu64, name,
                          scan->numbers[i]);
        }
        return false;
    }
    return true;
}

int wal_scan_list(struct wal_scan *scan)
{
    for (int try = 1; try <= LISTS_MAX; try++) {
        scan->count = 0;
        int err = scan->io->ops->list(scan->io, list_add, scan);
        if (err == -ENOMEM) {
            return TALLY_NOMEM;
        }
        if (err != 0) {
            scan->signs.read_error = true;
            wal_tell_note(scan, 1, "cannot list the directory: %s", strerrordesc_np(-err));
            return 0;
        }
        if (scan->count > 0) {
            qsort(scan->numbers, scan->count, sizeof(*scan->numbers), by_number);
        }
        if (check_numbers(scan, try == LISTS_MAX)) {
            break;
        }
    }
    return 0;
}
