/* Buckets: chained hashing that doubles with its entries. */
#include "net/pipeline/buckets.h"

#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

int buckets_init(struct buckets *buckets)
{
    *buckets = (struct buckets){.chains = calloc(BUCKETS_MIN, sizeof(struct bucket_link *))};
    buckets->chain_count = buckets->chains != NULL ? BUCKETS_MIN : 0;
    return buckets->chains != NULL ? 0 : TALLY_NOMEM;
}

void buckets_fini(struct buckets *buckets)
{
    DCHECK(buckets->entry_count == 0);
    free(buckets->chains);
}

struct bucket_link **buckets_chain(const struct buckets *buckets, uint64_t hash)
{
    return &buckets->chains[hash & (buckets->chain_count - 1)];
}

static void put(struct buckets *buckets, struct bucket_link *link)
{
    struct bucket_link **at = buckets_chain(buckets, link->hash);
    link->next = *at;
    *at = link;
}

static void grow(struct buckets *buckets)
{
    struct buckets grown = *buckets;
    grown.chain_count *= 2;
    grown.chains = calloc(grown.chain_count, sizeof(struct bucket_link *));
    if (grown.chains == NULL) {
        return;
    }
    for (uint64_t i = 0; i < buckets->chain_count; i++) {
        struct bucket_link *next;
        for (struct bucket_link *link = buckets->chains[i]; link != NULL; link = next) {
            next = link->next;
            put(&grown, link);
        }
    }
    free(buckets->chains);
    *buckets = grown;
}

void buckets_put(struct buckets *buckets, struct bucket_link *link, uint64_t hash)
{
    link->hash = hash;
    if (++buckets->entry_count > buckets->chain_count) {
        grow(buckets);
    }
    put(buckets, link);
}

struct bucket_link *buckets_take(struct buckets *buckets, struct bucket_link **at)
{
    struct bucket_link *link = *at;
    /* callers have found the link in one of these chains */
    CHECK(link != NULL && buckets->entry_count > 0);
    *at = link->next;
    buckets->entry_count--;
    return link;
}

void buckets_shrink(struct buckets *buckets)
{
    CHECK(buckets->entry_count == 0); /* REQUIRES */
    struct bucket_link **few = calloc(BUCKETS_MIN, sizeof(struct bucket_link *));
    if (few != NULL) {
        free(buckets->chains);
        buckets->chains = few;
        buckets->chain_count = BUCKETS_MIN;
    }
}
