/* What the commands have in common: words into values, refusals into replies. */
#include "net/commands/command.h"

#include "engine/read.h"
#include "net/protocol/number.h"
#include "engine/base/label.h"

enum outcome ask_error(struct ask *ask, int err, const char *text)
{
    reply_err(&ask->reply, err, "%s", text);
    return ASK_ANSWERED;
}

enum outcome ask_stop(struct ask *ask, enum stop stop)
{
    ask->stop = stop;
    return ASK_STOPPED;
}

/* What the client can do about it. */
static const char *advice(int err)
{
    switch (err) {
    case TALLY_STALE:
        return "this token does not hold the build any more";
    case TALLY_OFFLINE:
        return "the worker is offline: send WORKER first";
    case TALLY_CLOSED:
        return "the poll is closed";
    case TALLY_READONLY:
        return "the log cannot grow: if the disk is full, free space, and it heals by itself; the "
               "server's stderr says if it is something else";
    case TALLY_DRAINING:
        return "the server is going down: try again in a moment";
    case TALLY_MEMORY:
        return "the memory for clients is used up: finish builds, or start with a larger --memory; "
               "INFO memory says what takes it";
    case TALLY_BUSY:
        return "retry_ms=1000 the server is busy";
    case TALLY_NOMEM:
        return "retry_ms=1000 out of memory";
    default:
        return tally_err_text(err);
    }
}

void reply_refused(struct reply *reply, int err, const char *what)
{
    if (err == TALLY_NOTFOUND) {
        reply_err(reply, err, "no such %s", what);
    } else {
        int code = err == TALLY_NOMEM ? TALLY_BUSY : err == TALLY_MEMORY ? TALLY_FULL : err;
        reply_err(reply, code, "%s", advice(err));
    }
}

static bool may_become_true(int err)
{
    return err == TALLY_NOTFOUND || err == TALLY_STATE || err == TALLY_STALE ||
           err == TALLY_OFFLINE || err == TALLY_CLOSED;
}

enum outcome ask_refused(struct ask *ask, int err, const char *what)
{
    if (err == TALLY_PARK) {
        return ask_stop(ask, STOP_COMMIT);
    }
    if (err == TALLY_ROOM) {
        return ask_stop(ask, STOP_ROOM);
    }
    if (ask->conn->ordered > 0 && may_become_true(err)) {
        return ask_stop(ask, STOP_ORDERED);
    }
    reply_refused(&ask->reply, err, what);
    return ASK_ANSWERED;
}

enum outcome ask_read(struct ask *ask, struct reading *reading)
{
    if (reading == NULL) {
        return ask_refused(ask, TALLY_NOMEM, "");
    }
    if (edge_read(ask->edge, reading->read) == EDGE_QUEUED) {
        ask->conn->reading = reading;
        return ask_stop(ask, STOP_READING);
    }
    return ask_tell(ask, reading);
}

enum outcome ask_tell(struct ask *ask, struct reading *reading)
{
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

static bool read_number(struct ask *ask, struct span word, const struct option *option)
{
    int err = number_read(word, option->min, option->max, option->to);
    if (err != 0) {
        reply_err(&ask->reply, err, "%s is a number from %llu to %llu, in digits", option->word,
                  (unsigned long long)option->min, (unsigned long long)option->max);
    }
    return err == 0;
}

bool ask_number(struct ask *ask, size_t word, const char *what, uint64_t max, uint64_t *number)
{
    const struct option option = {what, OPTION_NUMBER, 0, max, number};
    return read_number(ask, ask->request->words[word], &option);
}

static const struct option *find_option(struct span word, const struct option *options,
                                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (word_equal(word, options[i].word)) {
            return &options[i];
        }
    }
    return NULL;
}

/* A word said twice asks for two things at once: neither is guessed. */
static bool is_twice(const struct request *request, struct span word, uint64_t *seen, size_t nth)
{
    bool is_payload = word_equal(word, "RESULT") || word_equal(word, "TEXT");
    bool is_again = nth < 64 ? (*seen >> nth & 1) != 0 : request->has_payload && is_payload;
    *seen |= nth < 64 ? (uint64_t)1 << nth : 0;
    return is_again;
}

bool ask_options(struct ask *ask, size_t from, const struct option *options, size_t count)
{
    const struct request *request = ask->request;
    uint64_t seen = 0;
    for (size_t i = from; i < request->count; i++) {
        const struct option *option = find_option(request->words[i], options, count);
        size_t nth = option != NULL ? (size_t)(option - options) : SIZE_MAX;
        if (is_twice(request, request->words[i], &seen, nth)) {
            ask_error(ask, TALLY_ARGS, "an option word stands here twice");
            return false;
        }
        if (option == NULL) {
            ask_error(ask, TALLY_INVAL, "an option word that is not known here: see HELP");
            return false;
        }
        if (option->kind == OPTION_FLAG) {
            *(bool *)option->to = true;
            continue;
        }
        if (++i == request->count) {
            reply_err(&ask->reply, TALLY_ARGS, "%s takes a value", option->word);
            return false;
        }
        if (option->kind == OPTION_TEXT) {
            *(struct span *)option->to = request->words[i];
        } else if (!read_number(ask, request->words[i], option)) {
            return false;
        }
    }
    return true;
}
