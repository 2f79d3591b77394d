/* What the record table knows of each type. */
#include "engine/log/record.h"

#include "wal/base/check.h"

struct shape {
    const char *name;
    const char *nums;
    const char *texts;
};

static const struct shape shapes[RECORD_TYPES] = {
#define X(name, number, nums, texts) [number] = {#name, nums, texts},
    RECORD_LIST(X)
#undef X
};

const char *record_type_name(unsigned type)
{
    return type < RECORD_TYPES ? shapes[type].name : NULL;
}

static unsigned count_names(const char *list)
{
    unsigned count = *list != '\0';
    for (; *list != '\0'; list++) {
        count += *list == ',';
    }
    return count;
}

static struct span nth_name(const char *list, unsigned n)
{
    for (; n > 0; n--) {
        list = strchr(list, ',');
        CHECK(list != NULL); /* n is below the count of a type that the decoder knows */
        list++;
    }
    return (struct span){list, strcspn(list, ",")};
}

unsigned record_num_count(enum record_type type)
{
    return count_names(shapes[type].nums);
}

unsigned record_text_count(enum record_type type)
{
    return count_names(shapes[type].texts);
}

struct span record_num_name(enum record_type type, unsigned i)
{
    return nth_name(shapes[type].nums, i);
}

struct span record_text_name(enum record_type type, unsigned i)
{
    return nth_name(shapes[type].texts, i);
}
