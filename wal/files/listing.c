/* A listing: the numbers of a directory's segments, or of its snapshots. */
#include "wal/files/listing.h"

#include "wal/base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int reserve(struct wal_listing *listing, size_t capacity)
{
    if (capacity <= listing->capacity) {
        return 0;
    }
    uint64_t *at = realloc(listing->at, capacity * sizeof(*at));
    if (at == NULL) {
        return -ENOMEM;
    }
    listing->at = at;
    listing->capacity = capacity;
    return 0;
}

/* A walk over the directory that fills a listing. */
struct filling {
    struct wal_listing *listing;
    bool (*is_name)(const char *name, uint64_t *number);
};

static int add_name(void *arg, const char *name)
{
    const struct filling *filling = arg;
    struct wal_listing *listing = filling->listing;
    uint64_t number;
    if (!filling->is_name(name, &number)) {
        return 0;
    }
    if (listing->count == listing->capacity && reserve(listing, listing->capacity * 2 + 64) != 0) {
        return -ENOMEM;
    }
    listing->at[listing->count++] = number;
    return 0;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int wal_listing_read(struct wal_listing *listing, struct wal_io *io,
                     bool (*is_name)(const char *name, uint64_t *number))
{
    struct filling filling = {listing, is_name};
    listing->count = 0;
    int err = io->ops->list(io, add_name, &filling);
    if (err == 0 && listing->count > 0) {
        qsort(listing->at, listing->count, sizeof(*listing->at), by_number);
    }
    return err;
}

void wal_listing_fini(struct wal_listing *listing)
{
    free(listing->at);
    *listing = (struct wal_listing){.at = NULL};
}

int wal_listing_set(struct wal_listing *listing, uint64_t number)
{
    if (reserve(listing, 1) != 0) {
        return -ENOMEM;
    }
    listing->at[0] = number;
    listing->count = 1;
    return 0;
}

int wal_listing_prepend(struct wal_listing *listing, uint64_t number)
{
    /* no names lead here: the reader prepends a segment when all that are left are above it */
    CHECK(listing->count == 0 || number < listing->at[0]);
    if (reserve(listing, listing->count + 1) != 0) {
        return -ENOMEM;
    }
    memmove(listing->at + 1, listing->at, listing->count * sizeof(*listing->at));
    listing->at[0] = number;
    listing->count++;
    return 0;
}

bool wal_listing_find(const struct wal_listing *listing, uint64_t number, size_t *index)
{
    for (size_t i = 0; i < listing->count; i++) {
        if (listing->at[i] == number) {
            *index = i;
            return true;
        }
    }
    return false;
}
