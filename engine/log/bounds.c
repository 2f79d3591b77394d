/* Checks records and images against their bounds: each field alone, then the fields together. */
#include "engine/log/bounds.h"

#include "engine/log/event.h"

#include "engine/base/label.h"
#include "engine/log/ballot.h"
#include "wal/base/bytes.h"
#include "wal/base/glyph.h"
#include "wal/format/segment.h"
#include "wal/wal.h"

_Static_assert((uint64_t)3 * BUILD_TEXT_BYTES_MAX + (1 << 20) < WAL_RAW_BYTES_MAX,
               "a build with three texts and a full chunk before it fit a block of a snapshot");

enum {
    BOUNDS_NUMS = (int)IMAGE_NUMS > (int)RECORD_NUMS ? IMAGE_NUMS : RECORD_NUMS,
    BOUNDS_TEXTS = (int)IMAGE_TEXTS > (int)RECORD_TEXTS ? IMAGE_TEXTS : RECORD_TEXTS,
};
_Static_assert(BOUNDS_NUMS <= 32 && BOUNDS_TEXTS <= 32, "a bit for each field");

/* ---- words ---- */

/* Whether a text is tags as tags_sort leaves them: rising names with commas between. */
static bool are_tags(struct span tags)
{
    char sorted[TAGS_BYTES_MAX];
    size_t len = 0;
    return tags_sort(tags, sorted, &len) == 0 &&
           span_equal((struct span){sorted, len}, (struct span){tags.at, tags.len});
}

/* Whether all characters can be shown. The other rules for labels depend on the version of Unicode,
 * so only the edge checks them (label_clean). */
static bool is_shown(struct span text, size_t bytes_max, size_t characters_max)
{
    size_t characters = 0;
    if (text.len == 0 || text.len > bytes_max) {
        return false;
    }
    while (text.len > 0) {
        size_t len = glyph_shown(text);
        if (len == 0 || ++characters > characters_max) {
            return false;
        }
        text = (struct span){text.at + len, text.len - len};
    }
    return true;
}

bool bounds_status_is_valid(uint32_t status)
{
    uint32_t token = status_token(status);
    enum build_state state = status_state(status);
    /* tokens that the build may still need: when they run out, status_next lets it fail instead of
     * offering it again, and a claim takes one more */
    uint32_t spare = status_is_ended(status) ? 0 : status_is_held(status) ? 3 : 4;
    return state > BUILD_NONE && state < BUILD_STATES && token > 0 &&
           token <= BUILD_TOKEN_MAX - spare;
}

bool bounds_rate_is_valid(uint64_t n, uint64_t ms)
{
    return n <= POLL_RATE_N_MAX && ms <= POLL_RATE_MS_MAX && (n == 0 || ms > 0);
}

/* Whether a text is three varints for each place: the place, its second, the votes of that second.
 */
static bool are_seconds(struct span text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    const unsigned char *end = at + text.len;
    uint64_t least = 0; /* places rise */
    while (at != end) {
        uint64_t place = 0;
        uint64_t second = 0;
        uint64_t votes = 0;
        if (get_varint(&at, end, &place) != 0 || get_varint(&at, end, &second) != 0 ||
            get_varint(&at, end, &votes) != 0 || place < least || place >= POLL_SECONDS ||
            second % POLL_SECONDS != place || second > TIME_MS_MAX / 1000 || votes > COUNT_MAX) {
            return false;
        }
        least = place + 1;
    }
    return true;
}

/* Whether a text is the trend of a count: the bucket behind the last change, from when on it is
 * exact, a capacity, and samples in rising buckets before that of the last change. */
static bool is_trend(struct span text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    const unsigned char *end = at + text.len;
    const uint64_t bucket_max = TIME_MS_MAX / TREND_BUCKET_MS;
    uint64_t until = 0;
    uint64_t exact_from = 0;
    uint64_t capacity = 0;
    uint64_t bucket = 0;
    if (text.len == 0) {
        return true;
    }
    if (get_varint(&at, end, &until) != 0 || get_varint(&at, end, &exact_from) != 0 ||
        get_varint(&at, end, &capacity) != 0 || until > bucket_max + 1 ||
        exact_from > bucket_max + 1 || capacity > TREND_SAMPLES_MAX ||
        (capacity & (capacity - 1)) != 0 || (capacity != 0 && capacity < TREND_SAMPLES_MIN)) {
        return false;
    }
    for (uint64_t i = 0; at != end; i++) {
        uint64_t more = 0;
        uint64_t count = 0;
        if (i == capacity || get_varint(&at, end, &more) != 0 ||
            get_varint(&at, end, &count) != 0 || count > COUNT_MAX || (more == 0 && i > 0) ||
            more >= until || bucket + more + 1 >= until) {
            return false;
        }
        bucket += more;
    }
    return true;
}

/* Whether a text is varints, at most one for each option of a ballot. */
static bool are_numbers(struct span text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    const unsigned char *end = at + text.len;
    unsigned count = 0;
    while (at != end) {
        uint64_t number = 0;
        if (get_varint(&at, end, &number) != 0 || ++count > BALLOT_OPTIONS_MAX) {
            return false;
        }
    }
    return true;
}

static bool text_fits(struct span text, enum bounds_text is)
{
    switch (is) {
    case BOUNDS_TEXT_ANY:
        return true;
    case BOUNDS_TEXT_NAME:
        return name_is_valid(text);
    case BOUNDS_TEXT_NAME_OR_NONE:
        return text.len == 0 || name_is_valid(text);
    case BOUNDS_TEXT_LABEL:
        return is_shown(text, LABEL_BYTES_MAX, LABEL_CHARACTERS_MAX);
    case BOUNDS_TEXT_FOLD:
        return is_shown(text, LABEL_FOLD_BYTES_MAX, LABEL_FOLD_BYTES_MAX);
    case BOUNDS_TEXT_TAGS:
        return are_tags(text);
    case BOUNDS_TEXT_TITLE:
        return text.len <= WORKER_TITLE_BYTES_MAX;
    case BOUNDS_TEXT_UNIQ:
        return text.len <= NAME_LEN_MAX;
    case BOUNDS_TEXT_KEY:
        return text.len <= KEY_LEN_MAX;
    case BOUNDS_TEXT_QUEUE_UNIQ:
        return text.len <= 2 * NAME_LEN_MAX + 1;
    case BOUNDS_TEXT_BLOB:
        return text.len <= BUILD_TEXT_BYTES_MAX;
    case BOUNDS_TEXT_SECONDS:
        return are_seconds(text);
    case BOUNDS_TEXT_VOTER:
        return text.len <= VOTER_LEN_MAX;
    case BOUNDS_TEXT_OPTIONS:
        return ballot_more_count(text) < BALLOT_OPTIONS_MAX;
    case BOUNDS_TEXT_TREND:
        return is_trend(text);
    case BOUNDS_TEXT_NUMBERS:
        return are_numbers(text);
    }
    return false;
}

/* The bounds of the fields of a kind, and a bit for each field that has one. */
struct bounds {
    uint64_t most[BOUNDS_NUMS];
    enum bounds_text is[BOUNDS_TEXTS];
    uint32_t bounded_nums;
    uint32_t bounded_texts;
};

/* Checks each number and each text alone, as the lists say. */
static bool fields_fit(const struct bounds *bounds, const uint64_t *num, const struct span *text)
{
    for (uint32_t bits = bounds->bounded_nums; bits != 0; bits &= bits - 1) {
        int i = __builtin_ctz(bits);
        if (num[i] > bounds->most[i]) {
            return false;
        }
    }
    for (uint32_t bits = bounds->bounded_texts; bits != 0; bits &= bits - 1) {
        int i = __builtin_ctz(bits);
        if (!text_fits(text[i], bounds->is[i])) {
            return false;
        }
    }
    return true;
}

/* The bit of a field, if it is bounded. */
#define BIT_IF(is, index)                       | (uint32_t)(is) << (index)
#define NUM_BIT(index, most)                    BIT_IF((most) != BOUNDS_ANY, index)
#define TEXT_BIT(index, is)                     BIT_IF(BOUNDS_TEXT_##is != BOUNDS_TEXT_ANY, index)
#define NUM_MOST(index, name, what, most)       [index] = most,
#define TEXT_IS(index, name, shown, is)         [index] = BOUNDS_TEXT_##is,
#define IMAGE_MOST(index, name, most)           [index] = most,
#define IMAGE_IS(index, name, is)               [index] = BOUNDS_TEXT_##is,

/* ---- records ---- */

#define RECORD_NUM_BIT(index, name, what, most) NUM_BIT(index, most)
#define RECORD_TEXT_BIT(index, name, shown, is) TEXT_BIT(index, is)

static const struct bounds records[RECORD_TYPES] = {
#define X(type, number, ...)                                                                       \
    [number] = {{type##_NUMS(NUM_MOST)},                                                           \
                {type##_TEXTS(TEXT_IS)},                                                           \
                0 type##_NUMS(RECORD_NUM_BIT),                                                     \
                0 type##_TEXTS(RECORD_TEXT_BIT)},
    RECORD_LIST(X)
#undef X
};

static bool is_step(const struct record *record)
{
    const uint64_t *num = record->num;
    uint32_t after = (uint32_t)num[STEP_AFTER];
    if (!bounds_status_is_valid((uint32_t)num[STEP_BEFORE]) || !bounds_status_is_valid(after)) {
        return false;
    }
    if (record->type == RECORD_FAIL && num[FAIL_DEAD] != 0 && status_state(after) != BUILD_FAILED) {
        return false;
    }
    /* checked for every step, since apply uses both fields without asking for the type */
    return text_fits(record->text[STEP_TEXT], BOUNDS_TEXT_BLOB) &&
           (record->type == RECORD_CLAIM || num[STEP_DELAY_MS] <= BUILD_DELAY_MS_MAX);
}

/* Checks the fields of a record together. */
static bool record_fits(const struct record *record)
{
    const uint64_t *num = record->num;
    switch (record->type) {
    case RECORD_POLL:
        return bounds_rate_is_valid(num[POLL_RATE_N], num[POLL_RATE_MS]);
    case RECORD_SUBMIT:
        return num[SUBMIT_TRIES] > 0;
    case RECORD_SEED:
        return num[SEED_N] > 0;
    case RECORD_BALLOT:
        return num[BALLOT_N] > 0;
    case RECORD_UNVOTE:
        return record->text[UNVOTE_VOTER].len > 0;
        RECORD_BUILD_STEPS(RECORD_CASE)
        return is_step(record);
    case RECORD_VOTE:
    case RECORD_OPTION:
    case RECORD_WORKER:
    case RECORD_BYE:
    case RECORD_OFFLINE:
    case RECORD_SEEN:
    case RECORD_POLL_WINDOW:
    case RECORD_RESET:
    case RECORD_POLLDEL:
    case RECORD_PURGE:
    case RECORD_FORGET:
        return true;
    case RECORD_NONE:
        break;
    }
    return false;
}

const char *bounds_record_error(const struct record *record)
{
    bool fits = (unsigned)record->type < RECORD_TYPES &&
                fields_fit(&records[record->type], record->num, record->text) &&
                record_fits(record);
    return fits ? NULL : "a record that cannot be";
}

/* ---- images ---- */

#define IMAGE_NUM_BIT(index, name, most) NUM_BIT(index, most)
#define IMAGE_TEXT_BIT(index, name, is)  TEXT_BIT(index, is)

static const struct bounds images[IMAGE_KINDS] = {
#define X(kind, number)                                                                            \
    [number] = {{IMAGE_##kind##_NUMS(IMAGE_MOST)},                                                 \
                {IMAGE_##kind##_TEXTS(IMAGE_IS)},                                                  \
                0 IMAGE_##kind##_NUMS(IMAGE_NUM_BIT),                                              \
                0 IMAGE_##kind##_TEXTS(IMAGE_TEXT_BIT)},
    IMAGE_LIST(X)
#undef X
};

static bool is_head_image(const uint64_t *num)
{
    return image_last_poll(num) <= POLL_ID_MAX && image_last_option(num) <= OPTION_ID_MAX &&
           num[HEAD_QUEUES] <= num[HEAD_QUEUE_LAST] && num[HEAD_WORKERS] <= num[HEAD_WORKER_LAST] &&
           num[HEAD_BUILD_NEXT] > 0 && num[HEAD_BUILDS] < num[HEAD_BUILD_NEXT];
}

/* Whether a text is `count` different need sets with ';' between. */
static bool are_sets(struct span tags, uint64_t count)
{
    struct span sets[NEED_SETS_MAX];
    size_t at = 0;
    for (uint64_t i = 0; i < count; i++) {
        size_t to = at;
        while (to < tags.len && tags.at[to] != ';') {
            to++;
        }
        if (at > tags.len || (i + 1 == count) != (to == tags.len)) {
            return false;
        }
        sets[i] = (struct span){tags.at + at, to - at};
        for (uint64_t k = 0; k < i; k++) {
            if (span_equal(sets[i], sets[k])) {
                return false;
            }
        }
        if (!are_tags(sets[i])) {
            return false;
        }
        at = to + 1;
    }
    return count > 0 || tags.len == 0;
}

static bool is_worker_image(const uint64_t *num)
{
    return num[IWORKER_SLOTS] > 0 && num[IWORKER_SLOTS] <= num[IWORKER_CAPACITY] &&
           (num[IWORKER_GONE_LSN] != 0) == (num[IWORKER_STATE] == WORKER_GONE);
}

/* A build whose bytes are forgotten must have ended, and must have no texts. */
static bool is_forgotten_well(const struct image *image, bool is_ended)
{
    size_t bytes = image->text[IBUILD_PAYLOAD].len + image->text[IBUILD_RESULT].len +
                   image->text[IBUILD_ERROR].len;
    uint64_t forgotten = image->num[IBUILD_FORGOTTEN];
    return forgotten == 0 || (forgotten == 1 && is_ended && bytes == 0);
}

/* Whether the ending of the last claim fits the status of the build. */
static bool is_ending(uint64_t ending, uint32_t status)
{
    enum build_how how = ending_how(ending);
    if ((how == HOW_DONE) != (status_state(status) == BUILD_COMPLETED)) {
        return false;
    }
    bool has_delay = how == HOW_FAIL || how == HOW_FAIL_LAST || how == HOW_RELEASE;
    return ending == 0 ||
           (!status_is_held(status) && how > HOW_NONE && how <= HOW_OTHER &&
            ending_token(ending) > 0 && ending_token(ending) < status_token(status) &&
            (uint32_t)ending <= (has_delay ? BUILD_DELAY_MS_MAX : 0));
}

static bool is_build_image(const struct image *image)
{
    const uint64_t *num = image->num;
    uint32_t status = (uint32_t)num[IBUILD_APPLIED];
    bool is_ended = status_is_ended(status);
    bool is_held = status_is_held(status);
    uint64_t attempts = num[IBUILD_ATTEMPTS];
    bool is_counted = is_held ? attempts > 0 : attempts < BUILD_ATTEMPTS_MAX + (is_ended ? 1U : 0U);
    return bounds_status_is_valid(status) && is_counted && is_ending(num[IBUILD_ENDING], status) &&
           num[IBUILD_GOES_BACK] <= is_held && (num[IBUILD_ENDED_LSN] != 0) == is_ended &&
           num[IBUILD_PENDING_LSN] > 0 && (num[IBUILD_WORKER] != 0) == is_held &&
           is_forgotten_well(image, is_ended) && (!is_ended || image->text[IBUILD_UNIQ].len == 0);
}

/* Whether a text is events of this poll, in the order of their lsns, that may be told. */
static bool are_events_of(struct span text, uint64_t poll)
{
    const unsigned char *at = (const unsigned char *)text.at;
    const unsigned char *end = at + text.len;
    uint64_t lsn = 0;
    while (text.len > 0 && at != end) {
        struct event event;
        if (event_get(&at, end, &event) != 0 || event.lsn < lsn || !event_is_of_poll(&event) ||
            event.num[EVENT_POLL] != poll || event.time_ms > TIME_MS_MAX ||
            event.num[EVENT_VOTES] > VOTES_MASK || event.num[EVENT_N] > VOTES_MASK ||
            (event.type == RECORD_VOTE && event.num[EVENT_N] > event.num[EVENT_VOTES]) ||
            event.text[EVENT_VOTER].len > VOTER_LEN_MAX || event.text[1].len > 0) {
            return false;
        }
        lsn = event.lsn;
    }
    return true;
}

static bool is_voter_image(const struct image *image)
{
    uint32_t places[BALLOT_OPTIONS_MAX];
    return image->text[IVOTER_VOTER].len > 0 && image_voter_places(image, places) > 0;
}

/* Checks the fields of an image together. */
static bool image_fits(const struct image *image)
{
    const uint64_t *num = image->num;
    switch (image->kind) {
    case IMAGE_HEAD:
        return is_head_image(num);
    case IMAGE_POLL:
        return bounds_rate_is_valid(num[IPOLL_RATE_N], num[IPOLL_RATE_MS]) &&
               (num[IPOLL_DELETED] == 0 ||
                (num[IPOLL_TOTAL] == 0 && num[IPOLL_VOTERS] == 0 && num[IPOLL_OPEN] == 0));
    case IMAGE_QUEUE:
        return are_sets(image->text[IQUEUE_TAGS], num[IQUEUE_SETS]);
    case IMAGE_WORKER:
        return is_worker_image(num);
    case IMAGE_BUILD:
        return is_build_image(image);
    case IMAGE_KEY:
        return record_key_index((unsigned)num[IKEY_VERB]) >= 0 && image->text[IKEY_KEY].len > 0;
    case IMAGE_RECENT:
        return are_events_of(image->text[IRECENT_EVENTS], num[IRECENT_POLL]);
    case IMAGE_VOTER:
        return is_voter_image(image);
    case IMAGE_OPTION:
    case IMAGE_END:
        return true;
    case IMAGE_NONE:
        break;
    }
    return false;
}

const char *bounds_image_error(const struct image *image)
{
    static const char *const whys[IMAGE_KINDS] = {
        [IMAGE_HEAD] = "counts beyond the limits",   [IMAGE_POLL] = "a poll that cannot be",
        [IMAGE_OPTION] = "an option that cannot be", [IMAGE_QUEUE] = "a queue that cannot be",
        [IMAGE_WORKER] = "a worker that cannot be",  [IMAGE_BUILD] = "a build that cannot be",
        [IMAGE_KEY] = "a key that cannot be",        [IMAGE_RECENT] = "events that cannot be",
        [IMAGE_VOTER] = "a voter that cannot be",
    };
    bool fits = fields_fit(&images[image->kind], image->num, image->text) && image_fits(image);
    return fits ? NULL : whys[image->kind];
}
