/* The keys of requests: a list in the order of their lsns, and an index by verb and key. */
#include "engine/state/keys.h"

#include "engine/state/state.h"
#include "wal/base/bytes.h"
#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/format/codec.h"

#include <stdlib.h>

enum { NAME_BYTES_MAX = 1 + KEY_LEN_MAX };
_Static_assert(RECORD_TYPES <= UINT8_MAX && NAME_BYTES_MAX <= UINT8_MAX,
               "a name is the verb in one byte and the key, and its length fits a byte");
_Static_assert(BALLOT_OPTIONS_MAX <= UINT8_MAX, "a count of values fits a byte");

static size_t number_count(const struct keyed_reply *key)
{
    return (size_t)key->value_count + key->prev_count;
}

static struct span name_of(const void *entity)
{
    const struct keyed_reply *key = entity;
    return (struct span){(const char *)&key->numbers[number_count(key)], key->name_len};
}

/* Writes verb and key, and returns them as one name. */
static struct span name_put(char name[NAME_BYTES_MAX], unsigned verb, struct span text)
{
    DCHECK(verb < RECORD_TYPES && text.len > 0 && text.len <= KEY_LEN_MAX);
    name[0] = (char)verb;
    memcpy(name + 1, text.at, text.len);
    return (struct span){name, 1 + text.len};
}

static bool is_over(const struct keyed_reply *key, uint64_t now_ms)
{
    return now_ms > key->time_ms && now_ms - key->time_ms > KEYS_WINDOW_MS;
}

int keys_init(struct keys *keys, uint64_t count_max, struct ledger *ledger)
{
    DCHECK(count_max > 0);
    *keys = (struct keys){.count_max = count_max, .ledger = ledger};
    TAILQ_INIT(&keys->order);
    return index_init(&keys->by_name, name_of);
}

void keys_fini(struct keys *keys)
{
    struct keyed_reply *key;
    while ((key = TAILQ_FIRST(&keys->order)) != NULL) {
        TAILQ_REMOVE(&keys->order, key, order);
        free(key);
    }
    index_fini(&keys->by_name);
}

const struct keyed_reply *keys_find(const struct keys *keys, unsigned verb, struct span text,
                                    uint64_t now_ms)
{
    char name[NAME_BYTES_MAX];
    const struct keyed_reply *key = index_get(&keys->by_name, name_put(name, verb, text));
    return key != NULL && !is_over(key, now_ms) ? key : NULL;
}

static size_t bytes_of(size_t numbers, size_t name_len)
{
    return sizeof(struct keyed_reply) + numbers * sizeof(uint64_t) + name_len;
}

static uint64_t weight_of(size_t numbers, size_t name_len)
{
    return bytes_of(numbers, name_len) + 2 * WEIGHT_PLACES + WEIGHT_ALLOCATION;
}

uint64_t keys_weight(const struct keyed_reply *key)
{
    return weight_of(number_count(key), key->name_len);
}

uint64_t keys_growth(struct span text, unsigned numbers)
{
    DCHECK(numbers <= 2 * BALLOT_OPTIONS_MAX);
    return text.len > 0 ? weight_of(numbers, 1 + text.len) : 0;
}

static struct keyed_reply *key_new(const struct key_entry *entry, struct span name)
{
    const struct edge_result *reply = &entry->reply;
    struct keyed_reply *key =
        malloc(bytes_of((size_t)reply->value_count + reply->prev_count, name.len));
    if (key == NULL) {
        return NULL;
    }
    *key = (struct keyed_reply){.lsn = entry->lsn,
                                .time_ms = entry->time_ms,
                                .fingerprint = entry->fingerprint,
                                .value = reply->value,
                                .nil = reply->nil,
                                .value_count = reply->value_count,
                                .prev_count = reply->prev_count,
                                .name_len = (uint8_t)name.len};
    for (size_t i = 0; i < reply->value_count; i++) {
        key->numbers[i] = reply->values[i];
    }
    for (size_t i = 0; i < reply->prev_count; i++) {
        key->numbers[reply->value_count + i] = reply->prev[i];
    }
    memcpy(&key->numbers[number_count(key)], name.at, name.len);
    return key;
}

int keys_put(struct keys *keys, const struct key_entry *entry)
{
    char bytes[NAME_BYTES_MAX];
    struct span name = name_put(bytes, entry->verb, entry->text);
    const struct keyed_reply *newest = TAILQ_LAST(&keys->order, keyed_reply_list);
    const struct keyed_reply *over = index_get(&keys->by_name, name);
    DCHECK(keys->count < keys->count_max && entry->reply.value_count <= BALLOT_OPTIONS_MAX &&
           entry->reply.prev_count <= BALLOT_OPTIONS_MAX);
    DCHECK(newest == NULL || (newest->lsn < entry->lsn && newest->time_ms <= entry->time_ms));
    DCHECK(over == NULL || is_over(over, entry->time_ms));
    struct keyed_reply *key = key_new(entry, name);
    if (key == NULL || index_put(&keys->by_name, key) != 0) {
        free(key);
        return TALLY_NOMEM;
    }
    if (over != NULL) {
        index_remove(&keys->by_name, over);
    }
    TAILQ_INSERT_TAIL(&keys->order, key, order);
    keys->count++;
    keys->bytes += keys_weight(key);
    ledger_add(keys->ledger, LEDGER_ENTITIES, keys_weight(key));
    return 0;
}

const struct keyed_reply *keys_due(const struct keys *keys, uint64_t now_ms)
{
    const struct keyed_reply *oldest = TAILQ_FIRST(&keys->order);
    DCHECK((oldest == NULL) == (keys->count == 0));
    bool is_due = oldest != NULL && (keys->count >= keys->count_max || is_over(oldest, now_ms));
    return is_due ? oldest : NULL;
}

uint64_t keys_surplus(const struct keys *keys, uint64_t now_ms, uint64_t bytes_max)
{
    enum { SLICE = 4096, /* in less than 1 ms */ SPARE_MS = 3600 * 1000 };
    uint64_t bytes = keys->bytes;
    uint64_t until = 0;
    uint64_t then_ms = now_ms > SPARE_MS ? now_ms - SPARE_MS : 0;
    const struct keyed_reply *key = TAILQ_FIRST(&keys->order);
    for (int i = 0; i < SLICE && key != NULL && (bytes > bytes_max || is_over(key, then_ms)); i++) {
        bytes -= keys_weight(key);
        until = key->lsn;
        key = TAILQ_NEXT(key, order);
    }
    return until;
}

void keys_drop(struct keys *keys)
{
    struct keyed_reply *key = TAILQ_FIRST(&keys->order);
    CHECK(key != NULL); /* the caller has it from keys_due */
    if (index_get(&keys->by_name, name_of(key)) == key) {
        index_remove(&keys->by_name, key);
    }
    TAILQ_REMOVE(&keys->order, key, order);
    keys->count--;
    keys->bytes -= keys_weight(key);
    ledger_sub(keys->ledger, LEDGER_ENTITIES, keys_weight(key));
    free(key);
}

const struct keyed_reply *keys_next(const struct keys *keys, const struct keyed_reply *key)
{
    DCHECK(key == NULL || keys->count > 0);
    return key == NULL ? TAILQ_FIRST(&keys->order) : TAILQ_NEXT(key, order);
}

void keys_entry(const struct keyed_reply *key, struct key_entry *entry)
{
    struct span name = name_of(key);
    *entry = (struct key_entry){.verb = (unsigned char)name.at[0],
                                .text = {name.at + 1, name.len - 1},
                                .fingerprint = key->fingerprint,
                                .lsn = key->lsn,
                                .time_ms = key->time_ms,
                                .reply = {.value = key->value,
                                          .nil = key->nil,
                                          .value_count = key->value_count,
                                          .prev_count = key->prev_count,
                                          .values = key->numbers,
                                          .prev = key->numbers + key->value_count}};
}

/* Adds a field to a hash: its index, and its number or length. */
static uint64_t with_field(uint64_t hash, unsigned index, uint64_t number)
{
    unsigned char bytes[2 * sizeof number];
    put_le64(bytes, index);
    put_le64(bytes + sizeof number, number);
    return wal_codec_checksum(bytes, sizeof bytes, hash);
}

/* A field that is 0 or empty is left out, so a field that a later version adds changes nothing. */
uint64_t keys_fingerprint(const struct record *record)
{
    const struct record_schema *schema = record_schema(record->type);
    int key = record_key_index(record->type);
    uint64_t hash = record->type;
    for (unsigned i = 0; i < schema->num_count; i++) {
        if (record->num[i] != 0 && schema->nums[i].what != RECORD_NUM_VOTES_BEFORE) {
            hash = with_field(hash, i, record->num[i]);
        }
    }
    for (unsigned i = 0; i < schema->text_count; i++) {
        struct span text = record->text[i];
        if (text.len > 0 && (int)i != key) {
            /* with its length, so that no two texts can be cut in another place */
            hash = with_field(hash, RECORD_NUMS + i, text.len);
            hash = wal_codec_checksum(text.at, text.len, hash);
        }
    }
    return hash;
}
