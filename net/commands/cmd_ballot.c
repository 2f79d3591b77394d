/* Votes that are ballots, and UNVOTE. */
#include "net/commands/cmd.h"

#include "net/commands/ballot.h"
#include "net/commands/refusal.h"
#include "net/protocol/number.h"
#include "engine/log/ballot.h"

/* Writes `key=7,9`. */
static void put_numbers(struct reply *reply, const char *key, const uint64_t *numbers,
                        unsigned count)
{
    char text[BALLOT_MORE_BYTES_MAX];
    size_t len = 0;
    for (unsigned i = 0; i < count; i++) {
        if (i > 0) {
            text[len++] = ',';
        }
        len += number_write(text + len, numbers[i]);
    }
    reply_name(reply, key, (struct span){text, len});
}

/* `OK 13`, `OK 13 8 prev=7,9 dup=1`. */
static void put_counts(struct reply *reply, const struct edge_result *result)
{
    reply_begin(reply);
    if (result->value_count == 0) {
        reply_number(reply, NULL, result->value);
    }
    for (unsigned i = 0; i < result->value_count; i++) {
        reply_number(reply, NULL, result->values[i]);
    }
    if (result->prev_count > 0) {
        put_numbers(reply, "prev", result->prev, result->prev_count);
    }
    if (result->dup) {
        reply_number(reply, "dup", 1);
    }
    reply_end(reply);
}

static void answer_ballot(struct reply *reply, int err, const struct edge_result *result)
{
    if (err == 0) {
        put_counts(reply, result);
    } else if (err == TALLY_RATE || (err == TALLY_BUSY && result->value > 0)) {
        refusal_put_retry(reply, err, result->value);
    } else if (err == TALLY_INVAL) {
        reply_err(reply, err, "the poll's MODE does not take such a vote");
    } else if (!ask_key_clashes(reply, err, result)) {
        refusal_put(reply, err, "option");
    }
}

/*
 * Asks the limiter. A refused ballot with a KEY goes to the engine all the same: if it repeats one
 * that was counted, it gets that one's reply. Returns the refusal of a ballot that goes no further.
 */
static int limit_ballot(struct ask *ask, struct edge_ballot *ballot, const struct vote_from *from,
                        struct rate_ask *rate, uint64_t *retry_ms)
{
    rate->votes = ballot->n;
    int err = votes_limit(ask->conn, ballot->options[0], from, rate, retry_ms);
    if (err == 0 || ballot->key.len == 0 || err == TALLY_RANGE || err == TALLY_PARK) {
        return err;
    }
    ballot->unless_known = err;
    ballot->unless_value = *retry_ms;
    return 0;
}

enum outcome ballot_cast(struct ask *ask, struct edge_ballot *ballot, const struct vote_from *from)
{
    struct rate *limiter = ask->pipeline->service->rate;
    struct rate_ask rate;
    uint64_t retry_ms = 0;
    if (ask->conn->votes > 0) {
        return ask_stop(ask, STOP_FLUSH); /* replies leave in order */
    }
    int err = limit_ballot(ask, ballot, from, &rate, &retry_ms);
    if (err == TALLY_RANGE) {
        return ask_error(ask, err, "more votes at once than the poll's RATE allows");
    }
    if (err != 0 && retry_ms > 0) {
        refusal_put_retry(&ask->reply, err, retry_ms);
        return ASK_ANSWERED;
    }
    if (err != 0) {
        return ask_refused(ask, err, "option");
    }
    err = edge_ballot(ask->edge, ballot);
    if (rate.votes > 0 && err != 0) {
        rate_give_back(limiter, &rate);
    } else if (rate.votes > 0) {
        ask->taken = rate_keep(limiter, &rate);
    }
    ask->on_result = answer_ballot;
    if (err == TALLY_INVAL) {
        return ask_error(ask, err,
                         "in MODE once and change a vote needs a VOTER, N is 1, and several "
                         "options are different ones of one poll; in MODE free it has one option");
    }
    return err == 0 ? ASK_BALLOT : ask_refused(ask, err, "option");
}

bool ballot_voter(struct ask *ask, struct span voter)
{
    if (voter.len == 0 || voter.len > VOTER_LEN_MAX) {
        ask_error(ask, TALLY_INVAL, "a VOTER is 1 to 64 bytes");
        return false;
    }
    return true;
}

static void answer_unvote(struct reply *reply, int err, const struct edge_result *result)
{
    if (err == 0 && result->nil) {
        reply_nil(reply);
    } else if (err == 0) {
        put_counts(reply, result);
    } else if (err == TALLY_INVAL) {
        reply_err(reply, err, "in MODE free no vote can be taken back");
    } else if (!ask_key_clashes(reply, err, result)) {
        refusal_put(reply, err, "poll");
    }
}

enum outcome cmd_unvote(struct ask *ask)
{
    struct span poll = ask->request->words[0];
    struct span voter = {0};
    struct span key = {0};
    const struct keyword keywords[] = {{"VOTER", KEYWORD_TEXT, 0, 0, &voter},
                                       {"KEY", KEYWORD_TEXT, 0, 0, &key}};
    if (!ask_name(ask, poll, "poll's name") || !ask_keywords(ask, 1, keywords, 2) ||
        !ask_key(ask, key)) {
        return ASK_ANSWERED;
    }
    if (voter.at == NULL) {
        return ask_error(ask, TALLY_ARGS, "UNVOTE needs a VOTER");
    }
    if (!ballot_voter(ask, voter)) {
        return ASK_ANSWERED;
    }
    int err = edge_unvote(ask->edge, poll, voter, key);
    ask->on_result = answer_unvote;
    return err == 0 ? ASK_BALLOT : ask_refused(ask, err, "poll");
}
