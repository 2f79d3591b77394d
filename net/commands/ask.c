/* Helpers of all commands: words into values, refusals into replies. */
#include "net/commands/ask.h"

#include "engine/base/label.h"
#include "engine/read.h"
#include "net/commands/command.h"
#include "net/commands/refusal.h"
#include "net/protocol/number.h"
#include "net/protocol/word.h"
#include "wal/base/check.h"

enum outcome ask_error(struct ask *ask, int err, const char *text)
{
    reply_err(&ask->reply, err, "%s", text);
    return ASK_ANSWERED;
}

enum outcome ask_stop(struct ask *ask, enum stop stop)
{
    CHECK(stop != STOP_NONE); /* handlers pass the stop that they need */
    ask->stop = stop;
    return ASK_STOPPED;
}

static bool may_become_true(int err)
{
    return err == TALLY_NOTFOUND || err == TALLY_STATE || err == TALLY_STALE ||
           err == TALLY_OFFLINE || err == TALLY_CLOSED;
}

enum outcome ask_refused(struct ask *ask, int err, const char *what)
{
    /* handlers deal with 0 and with EDGE_NIL and the like, which are no refusals */
    CHECK(err < 0);
    if (err == TALLY_PARK) {
        return ask_stop(ask, STOP_COMMIT);
    }
    if (err == TALLY_ROOM) {
        return ask_stop(ask, STOP_ROOM);
    }
    if (ask->conn->ordered > 0 && may_become_true(err)) {
        return ask_stop(ask, STOP_ORDERED);
    }
    refusal_put(&ask->reply, err, what);
    return ASK_ANSWERED;
}

enum outcome ask_read(struct ask *ask, struct reading *reading)
{
    if (reading == NULL) {
        return ask_refused(ask, TALLY_NOMEM, "");
    }
    /* run_request takes the reading of the stop out before it runs a handler */
    CHECK(ask->conn->reading == NULL);
    if (edge_read(ask->edge, reading->read) == EDGE_QUEUED) {
        ask->conn->reading = reading;
        return ask_stop(ask, STOP_READING);
    }
    return ask_tell(ask, reading);
}

enum outcome ask_tell(struct ask *ask, struct reading *reading)
{
    /* no request is run while a long reply is sent, and a read waits for replies in flight */
    CHECK(ask->conn->telling == NULL && ask->conn->in_flight == 0);
    if (reading->format(reading, &ask->reply)) {
        reading->destroy(reading);
    } else {
        ask->conn->telling = reading;
    }
    return ASK_ANSWERED;
}

bool ask_name(struct ask *ask, struct span word, const char *what)
{
    if (!name_is_valid(word)) {
        reply_err(&ask->reply, TALLY_INVAL, "a %s is 1 to %d of A-Z a-z 0-9 _ . -", what,
                  NAME_LEN_MAX);
        return false;
    }
    return true;
}

struct span ask_keep(char *to, struct span name)
{
    if (name.at == NULL) {
        return name;
    }
    /* ask_name has refused a longer one */
    CHECK(name.len <= NAME_LEN_MAX);
    memcpy(to, name.at, name.len);
    return (struct span){to, name.len};
}

bool ask_tags(struct ask *ask, struct span tags)
{
    char sorted[TAGS_BYTES_MAX];
    size_t len = 0;
    if (tags_sort(tags, sorted, &len) != 0) {
        ask_error(ask, TALLY_INVAL, "tags are at most 16 names with commas between");
        return false;
    }
    return true;
}

/* Returns 0 or the error to answer. */
static int find_option(struct ask *ask, struct span word, uint64_t *option)
{
    const char *slash = word.len > 0 ? memchr(word.at, '/', word.len) : NULL;
    if (slash == NULL) {
        return number_read(word, 0, UINT64_MAX, option);
    }
    struct span poll = {word.at, (size_t)(slash - word.at)};
    struct span label = {slash + 1, word.len - poll.len - 1};
    return name_is_valid(poll) ? edge_option_find(ask->edge, poll, label, option) : TALLY_INVAL;
}

bool ask_option(struct ask *ask, struct span word, uint64_t *option, enum outcome *outcome)
{
    int err = find_option(ask, word, option);
    if (err == TALLY_INVAL || err == TALLY_RANGE) {
        *outcome = ask_error(ask, err, "an option is named by its id or as poll/label");
    } else if (err != 0) {
        *outcome = ask_refused(ask, err, "option");
    }
    return err == 0;
}

bool ask_key(struct ask *ask, struct span key)
{
    if (key.at != NULL && (key.len == 0 || key.len > KEY_LEN_MAX)) {
        ask_error(ask, TALLY_INVAL, "KEY is 1 to 64 bytes");
        return false;
    }
    return true;
}

void ask_ok_number(struct reply *reply, const struct edge_result *result)
{
    DCHECK(!result->nil && result->value_count == 0); /* of a reply that is one number */
    reply_begin(reply);
    reply_number(reply, NULL, result->value);
    if (result->dup) {
        reply_number(reply, "dup", 1);
    }
    reply_end(reply);
}

bool ask_key_clashes(struct reply *reply, int err, const struct edge_result *result)
{
    if (err != TALLY_EXISTS || !result->dup) {
        return false;
    }
    reply_err(reply, err, "this KEY was used with other arguments: a new request needs a new one");
    return true;
}

static bool read_number(struct ask *ask, struct span word, const struct keyword *keyword)
{
    /* callers pass rows of this kind */
    CHECK(keyword->kind == KEYWORD_NUMBER);
    int err = number_read(word, keyword->min, keyword->max, keyword->to);
    if (err != 0) {
        reply_err(&ask->reply, err, "%s is a number from %llu to %llu, in digits", keyword->word,
                  (unsigned long long)keyword->min, (unsigned long long)keyword->max);
    }
    return err == 0;
}

bool ask_number(struct ask *ask, size_t word, const char *what, uint64_t max, uint64_t *number)
{
    /* the request has at least as many words as its row of the table asks for */
    CHECK(word < ask->request->count);
    const struct keyword keyword = {what, KEYWORD_NUMBER, 0, max, number};
    return read_number(ask, ask->request->words[word], &keyword);
}

static const struct keyword *find_keyword(struct span word, const struct keyword *keywords,
                                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (word_equal(word, keywords[i].word)) {
            return &keywords[i];
        }
    }
    return NULL;
}

/* Whether an option word is there twice: such a request is refused, for its two values may differ.
 */
static bool is_twice(const struct ask *ask, struct span word, uint64_t *seen, size_t nth)
{
    const struct payload_rule *payload = &ask->command->payload;
    if (nth < 64) {
        bool is_again = (*seen >> nth & 1) != 0;
        *seen |= (uint64_t)1 << nth;
        return is_again;
    }
    return payload->kind == PAYLOAD_AFTER && ask->request->has_payload &&
           word_equal(word, payload->word);
}

bool ask_keywords(struct ask *ask, size_t from, const struct keyword *keywords, size_t count)
{
    const struct request *request = ask->request;
    uint64_t seen = 0;
    /* each row of a handler's table has a bit of `seen` */
    CHECK(count <= 64);
    for (size_t i = from; i < request->count; i++) {
        const struct keyword *keyword = find_keyword(request->words[i], keywords, count);
        size_t nth = keyword != NULL ? (size_t)(keyword - keywords) : SIZE_MAX;
        if (is_twice(ask, request->words[i], &seen, nth)) {
            ask_error(ask, TALLY_ARGS, "an option word stands here twice");
            return false;
        }
        if (keyword == NULL) {
            ask_error(ask, TALLY_INVAL, "an option word that is not known here: see HELP");
            return false;
        }
        if (keyword->kind == KEYWORD_FLAG) {
            *(bool *)keyword->to = true;
            continue;
        }
        if (++i == request->count) {
            reply_err(&ask->reply, TALLY_ARGS, "%s takes a value", keyword->word);
            return false;
        }
        if (keyword->kind == KEYWORD_TEXT) {
            *(struct span *)keyword->to = request->words[i];
        } else if (!read_number(ask, request->words[i], keyword)) {
            return false;
        }
    }
    return true;
}
