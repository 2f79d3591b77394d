/* The bounds of records and images, kind by kind. */
#include "engine/log/bounds.h"

#include "engine/base/label.h"
#include "wal/base/bytes.h"
#include "wal/base/glyph.h"
#include "wal/format/segment.h"
#include "wal/wal.h"

_Static_assert((uint64_t)3 * BUILD_TEXT_BYTES_MAX + (1 << 20) < WAL_RAW_BYTES_MAX,
               "a build with three texts and a full chunk before it fit a block of a snapshot");

/* ---- words ---- */

/* Tags as tags_sort leaves them: names, rising, with commas between. */
static bool are_tags(struct span tags)
{
    char sorted[TAGS_BYTES_MAX];
    size_t len = 0;
    return tags_sort(tags, sorted, &len) == 0 &&
           span_equal((struct span){sorted, len}, (struct span){tags.at, tags.len});
}

/* Characters that can be shown. What else a label may not be depends on Unicode's version, and so
 * is the edge's to say (label_clean). */
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

static bool is_label(struct span label)
{
    return is_shown(label, LABEL_BYTES_MAX, LABEL_CHARACTERS_MAX);
}

static bool is_fold(struct span fold)
{
    return is_shown(fold, LABEL_FOLD_BYTES_MAX, LABEL_FOLD_BYTES_MAX);
}

static bool is_text(struct span text)
{
    return text.len <= BUILD_TEXT_BYTES_MAX;
}

static bool is_time(uint64_t time_ms)
{
    return time_ms <= TIME_MS_MAX;
}

bool bounds_status_is_valid(uint32_t status)
{
    uint32_t token = status_token(status);
    enum build_state state = status_state(status);
    /* status_next lets what would be offered behind this fail; a claim of it takes one more */
    uint32_t room = status_is_ended(status) ? 0 : status_is_held(status) ? 3 : 4;
    return state > BUILD_NONE && state < BUILD_STATES && token > 0 &&
           token <= BUILD_TOKEN_MAX - room;
}

bool bounds_rate_is_valid(uint64_t n, uint64_t ms)
{
    return n <= POLL_RATE_N_MAX && ms <= POLL_RATE_MS_MAX && (n == 0 || ms > 0);
}

/* ---- records ---- */

static bool is_poll(const struct record *record)
{
    const uint64_t *num = record->num;
    return name_is_valid(record->text[POLL_NAME]) && is_time(num[POLL_OPEN_MS]) &&
           is_time(num[POLL_CLOSE_MS]) && bounds_rate_is_valid(num[POLL_RATE_N], num[POLL_RATE_MS]);
}

static bool is_option(const struct record *record)
{
    return name_is_valid(record->text[OPTION_POLL]) && is_label(record->text[OPTION_LABEL]) &&
           is_fold(record->text[OPTION_FOLD]);
}

static bool is_submit(const struct record *record)
{
    const uint64_t *num = record->num;
    return num[SUBMIT_PRI] < BUILD_PRIORITIES && num[SUBMIT_DELAY_MS] <= BUILD_DELAY_MS_MAX &&
           num[SUBMIT_LEASE_MS] <= BUILD_LEASE_MS_MAX && num[SUBMIT_TRIES] > 0 &&
           num[SUBMIT_TRIES] <= BUILD_TRIES_MAX && name_is_valid(record->text[SUBMIT_QUEUE]) &&
           are_tags(record->text[SUBMIT_NEED]) && record->text[SUBMIT_UNIQ].len <= NAME_LEN_MAX &&
           is_text(record->text[SUBMIT_PAYLOAD]);
}

static bool is_worker(const struct record *record)
{
    return record->num[WORKER_SLOTS] <= WORKER_SLOTS_MAX &&
           name_is_valid(record->text[WORKER_ID]) && are_tags(record->text[WORKER_TAGS]) &&
           record->text[WORKER_NAME].len <= WORKER_TITLE_BYTES_MAX;
}

static bool is_step(const struct record *record)
{
    const uint64_t *num = record->num;
    bool is_claim = record->type == RECORD_CLAIM; /* the others have a delay, or 0, there */
    return num[STEP_BEFORE] <= UINT32_MAX && num[STEP_AFTER] <= UINT32_MAX &&
           bounds_status_is_valid((uint32_t)num[STEP_BEFORE]) &&
           bounds_status_is_valid((uint32_t)num[STEP_AFTER]) && is_text(record->text[STEP_TEXT]) &&
           (is_claim ? num[STEP_LEASE_MS] <= BUILD_LEASE_MS_MAX
                     : num[STEP_DELAY_MS] <= BUILD_DELAY_MS_MAX) &&
           (record->type != RECORD_FAIL || num[STEP_DEAD] == 0 ||
            (num[STEP_DEAD] == 1 && status_state((uint32_t)num[STEP_AFTER]) == BUILD_FAILED));
}

const char *bounds_record_error(const struct record *record)
{
    switch (record->type) {
    case RECORD_POLL:
        return is_poll(record) ? NULL : "a poll that cannot be";
    case RECORD_OPTION:
        return is_option(record) ? NULL : "an option that cannot be";
    case RECORD_SUBMIT:
        return is_submit(record) ? NULL : "a build that cannot be";
    case RECORD_WORKER:
        return is_worker(record) ? NULL : "a worker that cannot be";
    case RECORD_VOTE:
    case RECORD_BYE:
    case RECORD_OFFLINE:
    case RECORD_SEEN:
    case RECORD_POLL_WINDOW:
    case RECORD_FORGET:
        return NULL; /* each says which entity, and apply whether there is one */
    default:
        return is_step(record) ? NULL : "a step that cannot be";
    }
}

/* ---- images ---- */

static bool is_head_image(const uint64_t *num)
{
    return num[HEAD_LSN] <= WAL_LSN_MAX && is_time(num[HEAD_TIME_MS]) &&
           num[HEAD_VOTES] <= COUNT_MAX && num[HEAD_POLLS] <= POLLS_MAX &&
           num[HEAD_QUEUES] <= QUEUES_MAX && num[HEAD_QUEUES] <= num[HEAD_QUEUE_LAST] &&
           num[HEAD_QUEUE_LAST] <= COUNT_MAX && num[HEAD_WORKERS] <= num[HEAD_WORKER_LAST] &&
           num[HEAD_WORKER_LAST] <= COUNT_MAX && num[HEAD_OPTIONS] <= OPTIONS_MAX &&
           num[HEAD_BUILD_NEXT] > 0 && num[HEAD_BUILD_NEXT] <= COUNT_MAX &&
           num[HEAD_BUILDS] < num[HEAD_BUILD_NEXT];
}

/* Three varints for each place: it, its second, the votes of that. */
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

static bool is_poll_image(const struct image *image)
{
    const uint64_t *num = image->num;
    return name_is_valid(image->text[IPOLL_NAME]) && is_time(num[IPOLL_OPEN_MS]) &&
           is_time(num[IPOLL_CLOSE_MS]) && num[IPOLL_TOTAL] <= COUNT_MAX &&
           bounds_rate_is_valid(num[IPOLL_RATE_N], num[IPOLL_RATE_MS]) && num[IPOLL_OPEN] <= 1 &&
           are_seconds(image->text[IPOLL_SECONDS]);
}

static bool is_option_image(const struct image *image)
{
    const uint64_t *num = image->num;
    return num[IOPTION_VOTES] <= VOTES_MASK && num[IOPTION_CHANGES] <= num[IOPTION_VOTES] &&
           is_label(image->text[IOPTION_LABEL]) && is_fold(image->text[IOPTION_FOLD]);
}

/* Need sets with ';' between: as many as it says, each once. */
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

static bool is_queue_image(const struct image *image)
{
    return name_is_valid(image->text[IQUEUE_NAME]) && image->num[IQUEUE_SETS] <= NEED_SETS_MAX &&
           are_sets(image->text[IQUEUE_TAGS], image->num[IQUEUE_SETS]);
}

static bool is_worker_image(const struct image *image)
{
    const uint64_t *num = image->num;
    return name_is_valid(image->text[IWORKER_ID]) && are_tags(image->text[IWORKER_TAGS]) &&
           image->text[IWORKER_NAME].len <= WORKER_TITLE_BYTES_MAX &&
           num[IWORKER_STATE] <= WORKER_GONE && num[IWORKER_SLOTS] > 0 &&
           num[IWORKER_SLOTS] <= num[IWORKER_ROOM] && num[IWORKER_ROOM] <= WORKER_SLOTS_MAX &&
           num[IWORKER_DONE] <= COUNT_MAX && num[IWORKER_FAILED] <= COUNT_MAX &&
           (num[IWORKER_GONE_LSN] != 0) == (num[IWORKER_STATE] == WORKER_GONE);
}

/* What has given its bytes back has ended, and has none. */
static bool is_forgotten_well(const struct image *image, bool is_ended)
{
    size_t bytes = image->text[IBUILD_PAYLOAD].len + image->text[IBUILD_RESULT].len +
                   image->text[IBUILD_ERROR].len;
    uint64_t forgotten = image->num[IBUILD_FORGOTTEN];
    return forgotten == 0 || (forgotten == 1 && is_ended && bytes == 0);
}

/* How the last claim ended fits what came of it. */
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

/* The name of the last worker; none before the first claim. */
static bool is_by(struct span name)
{
    return name.len == 0 || name_is_valid(name);
}

static bool is_build_image(const struct image *image)
{
    const uint64_t *num = image->num;
    uint32_t status = (uint32_t)num[IBUILD_APPLIED];
    bool is_ended = status_is_ended(status);
    bool is_held = status_is_held(status);
    uint64_t attempts = num[IBUILD_ATTEMPTS];
    bool is_counted = is_held ? attempts > 0 && attempts <= BUILD_ATTEMPTS_MAX
                              : attempts < BUILD_ATTEMPTS_MAX + (is_ended ? 1U : 0U);
    return num[IBUILD_APPLIED] <= UINT32_MAX && bounds_status_is_valid(status) && is_counted &&
           num[IBUILD_TRIES] <= BUILD_TRIES_MAX && num[IBUILD_PRI] < BUILD_PRIORITIES &&
           is_ending(num[IBUILD_ENDING], status) && num[IBUILD_BYES] <= BUILD_BYES_MAX + 1 &&
           num[IBUILD_GOES_BACK] <= is_held && num[IBUILD_HELD_AT] < WORKER_SLOTS_MAX &&
           num[IBUILD_SUBMIT_LEASE_MS] <= BUILD_LEASE_MS_MAX &&
           num[IBUILD_LEASE_MS] <= BUILD_LEASE_MS_MAX && is_time(num[IBUILD_SUBMITTED_MS]) &&
           is_time(num[IBUILD_STARTED_MS]) && is_time(num[IBUILD_ENDED_MS]) &&
           num[IBUILD_DUE_MS] <= TIME_MS_MAX + BUILD_DELAY_MS_MAX &&
           (num[IBUILD_ENDED_LSN] != 0) == is_ended && num[IBUILD_PENDING_LSN] > 0 &&
           (num[IBUILD_WORKER] != 0) == is_held && is_by(image->text[IBUILD_BY]) &&
           is_forgotten_well(image, is_ended) && is_text(image->text[IBUILD_PAYLOAD]) &&
           is_text(image->text[IBUILD_RESULT]) && is_text(image->text[IBUILD_ERROR]) &&
           image->text[IBUILD_UNIQ].len <= 2 * NAME_LEN_MAX + 1 &&
           (!is_ended || image->text[IBUILD_UNIQ].len == 0);
}

const char *bounds_image_error(const struct image *image)
{
    switch (image->kind) {
    case IMAGE_HEAD:
        return is_head_image(image->num) ? NULL : "counts beyond the limits";
    case IMAGE_POLL:
        return is_poll_image(image) ? NULL : "a poll that cannot be";
    case IMAGE_OPTION:
        return is_option_image(image) ? NULL : "an option that cannot be";
    case IMAGE_QUEUE:
        return is_queue_image(image) ? NULL : "a queue that cannot be";
    case IMAGE_WORKER:
        return is_worker_image(image) ? NULL : "a worker that cannot be";
    case IMAGE_BUILD:
        return is_build_image(image) ? NULL : "a build that cannot be";
    default:
        return NULL;
    }
}
