/* Commands that move builds: SUBMIT CLAIM BEAT DONE FAIL RELEASE. */
#include "net/commands/cmd.h"

#include "net/commands/refusal.h"
#include "wal/base/check.h"
#include "wal/base/clock.h"

enum {
    LEASE_MS_MIN = 100,
    CLAIM_WAIT_MS_MAX = 3600000,
    CLAIM_COUNT_MAX = 64,
    CLAIM_BYTES_MAX = 1024 * 1024, /* beyond so many bytes of payloads, COUNT claims no more */
};

/* ---- SUBMIT ---- */

static void answer_submit(struct reply *reply, int err, const struct edge_result *result)
{
    if (err == 0) {
        ask_ok_number(reply, result);
    } else if (ask_key_clashes(reply, err, result)) {
        return;
    } else if (err == TALLY_EXISTS) {
        reply_err(reply, err, "id=%llu an unfinished build has this UNIQ",
                  (unsigned long long)result->value);
    } else {
        refusal_put(reply, err, "queue");
    }
}

enum outcome cmd_submit(struct ask *ask)
{
    struct edge_submit submit = {.queue = ask->request->words[0], .payload = ask->request->payload};
    CHECK(ask->request->has_payload); /* has_args: its row of the table asks for a payload */
    uint64_t pri = BUILD_PRI_DEFAULT;
    uint64_t delay_ms = 0;
    uint64_t lease_ms = BUILD_LEASE_MS_DEFAULT;
    uint64_t tries = BUILD_TRIES_DEFAULT;
    const struct keyword keywords[] = {
        {"PRI", KEYWORD_NUMBER, 0, BUILD_PRIORITIES - 1, &pri},
        {"DELAY", KEYWORD_NUMBER, 0, BUILD_DELAY_MS_MAX, &delay_ms},
        {"LEASE", KEYWORD_NUMBER, LEASE_MS_MIN, BUILD_LEASE_MS_MAX, &lease_ms},
        {"TRIES", KEYWORD_NUMBER, 1, BUILD_TRIES_MAX, &tries},
        {"NEED", KEYWORD_TEXT, 0, 0, &submit.need},
        {"UNIQ", KEYWORD_TEXT, 0, 0, &submit.uniq},
        {"KEY", KEYWORD_TEXT, 0, 0, &submit.key},
    };
    if (!ask_name(ask, submit.queue, "queue's name") || !ask_keywords(ask, 1, keywords, 7) ||
        !ask_tags(ask, submit.need) || !ask_key(ask, submit.key)) {
        return ASK_ANSWERED;
    }
    if (submit.uniq.at != NULL && (submit.uniq.len == 0 || submit.uniq.len > NAME_LEN_MAX)) {
        return ask_error(ask, TALLY_INVAL, "UNIQ is 1 to 64 bytes");
    }
    submit.pri = (uint32_t)pri;
    submit.delay_ms = (uint32_t)delay_ms;
    submit.lease_ms = (uint32_t)lease_ms;
    submit.tries = (uint32_t)tries;
    int err = edge_submit(ask->edge, &submit);
    ask->on_result = answer_submit;
    return err == 0 ? ASK_ORDERED : ask_refused(ask, err, "queue");
}

/* ---- CLAIM ---- */

struct claim_words {
    uint64_t wait_ms;
    uint64_t count; /* 0: no COUNT */
    uint64_t lease_ms;
};

static bool read_queues(struct ask *ask, struct span list, struct edge_claim *claim)
{
    for (;;) {
        const char *comma = list.len > 0 ? memchr(list.at, ',', list.len) : NULL;
        size_t len = comma == NULL ? list.len : (size_t)(comma - list.at);
        struct span name = {list.at, len};
        if (!ask_name(ask, name, "queue's name")) {
            return false;
        }
        if (claim->queue_count == CLAIM_QUEUES_MAX) {
            ask_error(ask, TALLY_INVAL, "a claim names at most 16 queues");
            return false;
        }
        /* the list's length was checked just above */
        CHECK(claim->queue_count < CLAIM_QUEUES_MAX);
        claim->queues[claim->queue_count++] = name;
        if (comma == NULL) {
            return true;
        }
        list.at += len + 1;
        list.len -= len + 1;
    }
}

static bool read_claim(struct ask *ask, struct edge_claim *claim, struct claim_words *words)
{
    const struct keyword keywords[] = {
        {"WAIT", KEYWORD_NUMBER, 0, CLAIM_WAIT_MS_MAX, &words->wait_ms},
        {"COUNT", KEYWORD_NUMBER, 1, CLAIM_COUNT_MAX, &words->count},
        {"LEASE", KEYWORD_NUMBER, LEASE_MS_MIN, BUILD_LEASE_MS_MAX, &words->lease_ms},
    };
    claim->worker = ask->request->words[0];
    if (!ask_name(ask, claim->worker, "worker's id") ||
        !read_queues(ask, ask->request->words[1], claim) || !ask_keywords(ask, 2, keywords, 3)) {
        return false;
    }
    claim->lease_ms = (uint32_t)words->lease_ms;
    return true;
}

static void put_claimed(struct reply *reply, const struct edge_claimed *got)
{
    DCHECK(got->id > 0 && got->attempt > 0);
    reply_number(reply, NULL, got->id);
    reply_number(reply, NULL, got->token);
    reply_name(reply, NULL, got->queue);
    reply_number(reply, NULL, got->attempt);
    reply_number(reply, NULL, got->lease_ms);
    if (got->again) {
        reply_number(reply, "again", 1);
    }
    reply_blob(reply, got->payload);
}

static void put_all(struct ask *ask, const struct edge_claimed *got, size_t count)
{
    reply_rows(&ask->reply, count);
    for (size_t i = 0; i < count; i++) {
        reply_row(&ask->reply);
        put_claimed(&ask->reply, &got[i]);
    }
}

/* Claims further builds behind the first, at most as many as are pending now. */
static void claim_more(struct ask *ask, struct edge_claim *claim, const struct edge_claimed *first,
                       uint64_t count)
{
    struct edge_claimed got[CLAIM_COUNT_MAX];
    size_t bytes = first->payload.len;
    size_t taken = 1;
    CHECK(count > 0 && count <= CLAIM_COUNT_MAX); /* the bounds of COUNT */
    got[0] = *first;
    claim->fresh_only = true;
    claim->waits = false;
    while (taken < count && bytes < CLAIM_BYTES_MAX &&
           edge_claim(ask->edge, claim, &got[taken]) == 0) {
        conn_hands_out(ask->conn, got[taken].id, got[taken].token);
        bytes += got[taken++].payload.len;
    }
    put_all(ask, got, taken);
}

/* Answers with the builds that the worker holds, as many as fit one reply with their payloads. */
static enum outcome claim_all_again(struct ask *ask, const struct edge_claim *claim)
{
    struct edge_claimed got[CLAIM_COUNT_MAX];
    size_t count = 0;
    size_t bytes = 0;
    uint64_t after = 0;
    int err = 0;
    while (err == 0 && count < CLAIM_COUNT_MAX && bytes < CLAIM_BYTES_MAX) {
        err = edge_claim_again(ask->edge, claim, &after, &got[count]);
        bytes += err == 0 ? got[count++].payload.len : 0;
    }
    if (err != 0 && err != EDGE_NIL) {
        return ask_refused(ask, err, "worker: send WORKER first");
    }
    DCHECK(count <= CLAIM_COUNT_MAX);
    put_all(ask, got, count);
    return ASK_CLAIMED;
}

/* Whether a claim without a build goes on waiting. The first call starts its time. */
static bool claim_waits(struct ask *ask, uint64_t wait_ms)
{
    struct conn *conn = ask->conn;
    if (wait_ms > 0 && conn->wait_until_ns == 0) {
        conn->wait_until_ns = ask->pipeline->now_ns + wait_ms * NS_PER_MS;
        pipeline_due(ask->pipeline, conn->wait_until_ns);
    }
    bool is_over =
        ask->pipeline->now_ns >= conn->wait_until_ns || ask->pipeline->drain_until_ns != 0;
    return wait_ms > 0 && !is_over && !conn->is_leaving && !conn->is_ended;
}

static enum outcome claim_nil(struct ask *ask, uint64_t wait_ms)
{
    if (claim_waits(ask, wait_ms)) {
        return ask_stop(ask, STOP_OFFERS);
    }
    reply_nil(&ask->reply);
    return ASK_ANSWERED;
}

enum outcome cmd_claim(struct ask *ask)
{
    struct edge_claim claim = {.queue_count = 0};
    struct claim_words words = {0};
    struct edge_claimed got;
    if (!read_claim(ask, &claim, &words)) {
        return ASK_ANSWERED;
    }
    CHECK(claim.queue_count > 0); /* a list without a name was refused */
    claim.waits = words.wait_ms > 0;
    int err = edge_claim(ask->edge, &claim, &got);
    if (err == EDGE_SLOTS || err == EDGE_NIL) {
        ask->conn->wait_worker = got.worker;
        ask->conn->wait_left = got.left;
    }
    if (err == EDGE_SLOTS && claim_waits(ask, words.wait_ms)) {
        return ask_stop(ask, STOP_SLOTS);
    }
    if (err == EDGE_SLOTS) {
        claim.waits = false;
        err = edge_claim(ask->edge, &claim, &got);
    }
    if (err == EDGE_NIL) {
        return claim_nil(ask, words.wait_ms);
    }
    if (err != 0) {
        return ask_refused(ask, err, "worker: send WORKER first");
    }
    if (got.again && words.count > 0) {
        return claim_all_again(ask, &claim);
    }
    if (!got.again) {
        conn_hands_out(ask->conn, got.id, got.token);
    }
    if (words.count > 0) {
        claim_more(ask, &claim, &got, words.count);
    } else {
        reply_begin(&ask->reply);
        put_claimed(&ask->reply, &got);
    }
    return ASK_CLAIMED;
}

/* ---- the holder's requests ---- */

struct claim_hold {
    uint64_t id;
    uint32_t token;
};

static bool read_hold(struct ask *ask, struct claim_hold *hold)
{
    uint64_t token = 0;
    if (!ask_number(ask, 0, "id", UINT64_MAX, &hold->id) ||
        !ask_number(ask, 1, "token", UINT32_MAX, &token)) {
        return false;
    }
    DCHECK(token <= UINT32_MAX);
    hold->token = (uint32_t)token;
    return true;
}

enum outcome cmd_beat(struct ask *ask)
{
    struct claim_hold hold;
    uint64_t prog = UINT64_MAX;
    uint64_t lease_ms = 0;
    const struct keyword keywords[] = {{"PROG", KEYWORD_NUMBER, 0, 100, &prog}};
    if (!read_hold(ask, &hold) || !ask_keywords(ask, 2, keywords, 1)) {
        return ASK_ANSWERED;
    }
    int err =
        edge_beat(ask->edge, hold.id, hold.token, prog == UINT64_MAX ? -1 : (int)prog, &lease_ms);
    if (err != 0) {
        return ask_refused(ask, err, "build");
    }
    reply_ok_number(&ask->reply, lease_ms);
    return ASK_STEPPED;
}

/* Writes dup=1 when this request's result or text is not kept, because an earlier request has
 * already brought one. */
static void put_dup(struct reply *reply, bool is_dup)
{
    if (is_dup) {
        reply_number(reply, "dup", 1);
    }
}

enum outcome cmd_done(struct ask *ask)
{
    struct claim_hold hold;
    if (!read_hold(ask, &hold) || !ask_keywords(ask, 2, NULL, 0)) {
        return ASK_ANSWERED;
    }
    struct span result = ask->request->has_payload ? ask->request->payload : SPAN("");
    int err = edge_done(ask->edge, hold.id, hold.token, result);
    if (err != 0 && err != EDGE_DUP) {
        return ask_refused(ask, err, "build");
    }
    reply_begin(&ask->reply);
    put_dup(&ask->reply, err == EDGE_DUP);
    reply_end(&ask->reply);
    return ASK_STEPPED;
}

enum outcome cmd_fail(struct ask *ask)
{
    struct claim_hold hold;
    struct edge_fail fail = {.dead = false};
    struct edge_failed how;
    uint64_t delay_ms = 0;
    const struct keyword keywords[] = {
        {"DELAY", KEYWORD_NUMBER, 0, BUILD_DELAY_MS_MAX, &delay_ms},
        {"DEAD", KEYWORD_FLAG, 0, 0, &fail.dead},
    };
    if (!read_hold(ask, &hold) || !ask_keywords(ask, 2, keywords, 2)) {
        return ASK_ANSWERED;
    }
    if (fail.dead && delay_ms > 0) {
        return ask_error(ask, TALLY_ARGS, "DEAD is for good: no DELAY beside it");
    }
    if (ask->request->has_payload) {
        fail.text = ask->request->payload;
    }
    if (fail.text.len > ERROR_TEXT_BYTES_MAX) {
        return ask_error(ask, TALLY_TOOBIG, "TEXT is at most 4096 bytes: put more into a RESULT");
    }
    fail.id = hold.id;
    fail.token = hold.token;
    fail.delay_ms = (uint32_t)delay_ms;
    int err = edge_fail(ask->edge, &fail, &how);
    if (err != 0) {
        return ask_refused(ask, err, "build");
    }
    reply_begin(&ask->reply);
    reply_name(&ask->reply, NULL, how.final ? SPAN("failed") : SPAN("pending"));
    if (!how.final) {
        reply_number(&ask->reply, "attempts_left", how.attempts_left);
    }
    put_dup(&ask->reply, how.dup);
    reply_end(&ask->reply);
    return ASK_STEPPED;
}

enum outcome cmd_release(struct ask *ask)
{
    struct claim_hold hold;
    uint64_t delay_ms = 0;
    const struct keyword keywords[] = {{"DELAY", KEYWORD_NUMBER, 0, BUILD_DELAY_MS_MAX, &delay_ms}};
    if (!read_hold(ask, &hold) || !ask_keywords(ask, 2, keywords, 1)) {
        return ASK_ANSWERED;
    }
    int err = edge_release(ask->edge, hold.id, hold.token, (uint32_t)delay_ms);
    if (err != 0) {
        return ask_refused(ask, err, "build");
    }
    reply_ok(&ask->reply);
    return ASK_STEPPED;
}
