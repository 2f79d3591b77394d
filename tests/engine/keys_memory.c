/* The keys of requests without memory: a put that fails has changed nothing. */
#include "engine/state/keys.h"
#include "tests/crash/allocations.h"
#include "tests/lib/expect.h"
#include "wal/base/err.h"

#include <stdio.h>

enum { KEYS = 3000 };

static uint64_t left; /* allocations until one fails; UINT64_MAX: none does */

bool allocation_fails(void)
{
    if (left == UINT64_MAX) {
        return false;
    }
    return left-- == 0;
}

static struct key_entry entry_of(char text[16], uint64_t lsn, uint64_t time_ms)
{
    static const uint64_t values[] = {1, 2, 3};
    int len = snprintf(text, 16, "k%lu", (unsigned long)(lsn % KEYS));
    return (struct key_entry){.verb = RECORD_BALLOT,
                              .text = {text, (size_t)len},
                              .fingerprint = lsn,
                              .lsn = lsn,
                              .time_ms = time_ms,
                              .reply = {.value = lsn, .value_count = 3, .values = values}};
}

static void expect_entry(const struct keys *keys, const struct key_entry *entry, bool is_there)
{
    const struct keyed_reply *key = keys_find(keys, entry->verb, entry->text, entry->time_ms);
    EXPECT((key != NULL) == is_there, "lsn %lu", (unsigned long)entry->lsn);
    EXPECT(key == NULL || key->lsn == entry->lsn, "lsn %lu", (unsigned long)entry->lsn);
}

/* Puts a key, but first lets its first allocation fail, then its second, ... Returns how many it
 * has. */
static uint64_t put_with_failures(struct keys *keys, const struct key_entry *entry)
{
    for (uint64_t n = 0;; n++) {
        uint64_t count = keys->count;
        uint64_t bytes = ledger_of(keys->ledger, LEDGER_ENTITIES);
        left = n;
        int err = keys_put(keys, entry);
        left = UINT64_MAX;
        expect_entry(keys, entry, err == 0);
        if (err == 0) {
            return n;
        }
        EXPECT(err == TALLY_NOMEM && keys->count == count, "%s", tally_err_name(err));
        EXPECT(ledger_of(keys->ledger, LEDGER_ENTITIES) == bytes, "the ledger");
    }
}

int main(void)
{
    struct ledger ledger = {.ceiling = UINT64_MAX};
    struct keys keys;
    char text[16];
    uint64_t allocations = 0;
    left = UINT64_MAX;
    EXPECT(keys_init(&keys, 4 * KEYS, &ledger) == 0, "init");
    /* new ones; then the same once more, when the time of the first ones is over */
    for (uint64_t lsn = 1; lsn <= 2 * KEYS; lsn++) {
        uint64_t time_ms = lsn <= KEYS ? 1000 : 2000 + KEYS_WINDOW_MS;
        struct key_entry entry = entry_of(text, lsn, time_ms);
        allocations += put_with_failures(&keys, &entry);
    }
    EXPECT(allocations > 2 * KEYS, "an index that grows has not failed");
    for (uint64_t lsn = KEYS + 1; lsn <= 2 * KEYS; lsn++) {
        struct key_entry entry = entry_of(text, lsn, 2000 + KEYS_WINDOW_MS);
        expect_entry(&keys, &entry, true);
    }
    keys_fini(&keys);
    return 0;
}
