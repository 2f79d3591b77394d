/* The filter of a dump: which records it shows. */
#include "tools/tally-wal/filter.h"

#include "engine/base/label.h"
#include "engine/apply/apply.h"
#include "wal/base/number.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void filter_init(struct filter *filter)
{
    *filter = (struct filter){.from_lsn = 1, .to_lsn = UINT64_MAX, .until_ms = UINT64_MAX};
}

void filter_fini(struct filter *filter)
{
    free(filter->option_key);
}

/* Returns the type of that name; RECORD_NONE: there is none. */
static unsigned type_of(const char *name, size_t len)
{
    for (unsigned type = 0; type < RECORD_TYPES; type++) {
        const char *known = record_type_name(type);
        if (known != NULL && strlen(known) == len && strncasecmp(known, name, len) == 0) {
            return type;
        }
    }
    return RECORD_NONE;
}

const char *filter_types(struct filter *filter, const char *list)
{
    for (;;) {
        size_t len = strcspn(list, ",");
        unsigned type = type_of(list, len);
        if (type == RECORD_NONE) {
            return list;
        }
        filter->types |= (uint64_t)1 << type;
        if (list[len] == '\0') {
            return NULL;
        }
        list += len + 1;
    }
}

bool filter_option(struct filter *filter, const char *word)
{
    const char *slash = strchr(word, '/');
    if (slash == NULL) {
        return number_parse(word, &filter->option) && filter->option > 0;
    }
    struct span poll = {word, (size_t)(slash - word)};
    struct label label;
    char *folded;
    size_t len;
    if (!name_is_valid(poll) || label_clean(span_of(slash + 1), &label) != 0 ||
        label_fold(label_span(&label), &folded, &len) != 0) {
        return false;
    }
    free(filter->option_key);
    filter->option_key = key_of_two(poll, (struct span){folded, len});
    free(folded);
    return filter->option_key != NULL;
}

bool filter_is_past(const struct filter *filter, const struct record *record)
{
    return record->lsn > filter->to_lsn || record->time_ms > filter->until_ms;
}

/* Returns the id of the option or build that a record names or makes; 0: none. */
static uint64_t id_of(const struct record *record, const struct apply_result *result,
                      enum record_num what, enum record_makes makes)
{
    const struct record_schema *schema = record_schema(record->type);
    for (unsigned i = 0; i < schema->num_count; i++) {
        if (schema->nums[i].what == what) {
            return record->num[i];
        }
    }
    return schema->makes == makes ? result->reply.value : 0;
}

static uint64_t option_of(const struct record *record, const struct apply_result *result)
{
    return id_of(record, result, RECORD_NUM_OPTION, RECORD_MAKES_OPTION);
}

static uint64_t build_of(const struct record *record, const struct apply_result *result)
{
    return id_of(record, result, RECORD_NUM_BUILD, RECORD_MAKES_BUILD);
}

/* Whether an option is that of a key `poll/fold`. */
static bool is_named(const struct option *option, struct span key)
{
    struct span poll = blob_span(option->poll->name);
    struct span fold = option_fold(option);
    return key.len == poll.len + 1 + fold.len && memcmp(key.at, poll.at, poll.len) == 0 &&
           memcmp(key.at + key.len - fold.len, fold.at, fold.len) == 0;
}

static bool is_about(const struct filter *filter, const struct state *state,
                     const struct record *record, const struct apply_result *result)
{
    uint64_t id = option_of(record, result);
    if (filter->option_key != NULL && id != 0) {
        const struct option *option = state_option(state, id);
        if (option != NULL && is_named(option, blob_span(filter->option_key))) {
            return true;
        }
    }
    return (filter->option != 0 && id == filter->option) ||
           (filter->build != 0 && build_of(record, result) == filter->build);
}

bool filter_takes(const struct filter *filter, const struct state *state,
                  const struct record *record, const struct apply_result *result)
{
    bool is_named = filter->option != 0 || filter->option_key != NULL || filter->build != 0;
    return record->lsn >= filter->from_lsn && record->time_ms >= filter->since_ms &&
           (filter->types == 0 || (filter->types >> record->type & 1) != 0) &&
           (!is_named || is_about(filter, state, record, result));
}
