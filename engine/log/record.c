/* The schema of the records as tables, made from the lists of record.h. */
#include "engine/log/record.h"

#include "engine/log/bounds.h"

#include <stddef.h>

#define NUM_ROW(index, name, what, ...)   [index] = {name, RECORD_NUM_##what},
#define TEXT_ROW(index, name, shown, ...) [index] = {name, RECORD_TEXT_##shown},

static const struct record_schema schemas[RECORD_TYPES] = {
#define X(type, number, class, domain, makes)                                                      \
    [number] = {#type,                                                                             \
                RECORD_CLASS_##class,                                                              \
                RECORD_DOMAIN_##domain,                                                            \
                RECORD_MAKES_##makes,                                                              \
                type##_NUM_COUNT,                                                                  \
                type##_TEXT_COUNT,                                                                 \
                {type##_NUMS(NUM_ROW)},                                                            \
                {type##_TEXTS(TEXT_ROW)}},
    RECORD_LIST(X)
#undef X
};

const struct record_schema *record_schema(unsigned type)
{
    return record_type_name(type) != NULL ? &schemas[type] : NULL;
}

const char *record_type_name(unsigned type)
{
    return type < RECORD_TYPES ? schemas[type].name : NULL;
}

/* For each type a bit at the index of its key, if it has one. */
static const uint8_t keys_at[RECORD_TYPES] = {
#define KEY_BIT(index, name, shown, is) | (BOUNDS_TEXT_##is == BOUNDS_TEXT_KEY) << (index)
#define X(type, number, ...)            [number] = 0 type##_TEXTS(KEY_BIT),
    RECORD_LIST(X)
#undef X
#undef KEY_BIT
};
_Static_assert(RECORD_TEXTS <= 8, "a bit for each text");

int record_key_index(unsigned type)
{
    return type < RECORD_TYPES && keys_at[type] != 0 ? __builtin_ctz(keys_at[type]) : -1;
}
