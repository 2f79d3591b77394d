/* One client's life: steps of a few requests, and what is owed after a lost connection. */
#include "tests/kill/crew.h"

#include "tests/lib/scene.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { BURST_MAX = 16, SUBMITS_MAX = 4, SAFE_MAX = 6 };

/* LOST: the connection is gone or the server drains; what was asked and not answered may have
 * happened. */
enum answer { ANSWERED, LOST };

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void crew_payload(char payload[CREW_PAYLOAD_MAX], size_t index, uint64_t number)
{
    snprintf(payload, CREW_PAYLOAD_MAX, "client-%zu-build-%" PRIu64, index, number);
}

void crew_result(char result[CREW_PAYLOAD_MAX], uint64_t build, uint64_t token)
{
    snprintf(result, CREW_PAYLOAD_MAX, "result-%" PRIu64 "-%" PRIu64, build, token);
}

/* Returns false after noting that `reply` is not what may come. */
static bool unexpected(struct crew *crew, const char *request, const struct reply *reply)
{
    return history_fault(&crew->history, "client %zu: %s gave '%s'", crew->index, request,
                         reply->line);
}

/* Reads one reply. A draining server's refusal is as good as a lost connection, except that nothing
 * was done. */
static const struct reply *next(struct crew *crew, bool *drained)
{
    const struct reply *reply = client_read(&crew->client);
    if (reply == NULL && (crew->client.is_late || crew->client.is_broken)) {
        history_fault(&crew->history, "client %zu: %s", crew->index,
                      crew->client.is_late ? "no reply in time" : "bytes that are no reply");
    }
    *drained = reply_is_err(reply, "DRAINING");
    return reply;
}

static enum answer vote_burst(struct crew *crew)
{
    size_t chosen[BURST_MAX], sent = 0;
    size_t count = 1 + (size_t)seed_below(&crew->seed, BURST_MAX);
    bool lost = false, drained = false;
    struct history *history = &crew->history;

    while (sent < count) {
        chosen[sent] = (size_t)seed_below(&crew->seed, OPTIONS);
        history->votes_sent[chosen[sent]]++;
        if (!client_send(&crew->client, "VOTE %" PRIu64, crew->options[chosen[sent++]])) {
            break;
        }
    }
    for (size_t i = 0; i < sent; i++) {
        const struct reply *reply = next(crew, &drained);
        if (reply == NULL) {
            return LOST;
        }
        if (drained) {
            history->votes_sent[chosen[i]]--;
            lost = true;
        } else if (reply_is_ok(reply) && line_number(reply->line, 1) != UINT64_MAX) {
            history->votes_acked[chosen[i]]++;
            history_told(history, chosen[i], line_number(reply->line, 1));
        } else {
            unexpected(crew, "VOTE", reply);
            return LOST;
        }
    }
    return lost || !arena_acked(crew->arena, sent) ? LOST : ANSWERED;
}

/* Sends the safe requests from the first without a reply up to `end`; those before `repeated` have
 * been sent before. */
static enum answer send_safe(struct crew *crew, uint64_t repeated, uint64_t end)
{
    char line[SAFE_LINE_MAX];
    struct safe *safe = &crew->safe;
    for (uint64_t number = safe->acked; number < end; number++) {
        safe->sent = number >= safe->sent ? number + 1 : safe->sent;
        safe_request(line, crew->safe_options, crew->index, number);
        if (!client_send(&crew->client, "%s", line)) {
            return LOST;
        }
    }
    uint64_t asked = end - safe->acked;
    while (safe->acked < end) {
        bool drained = false;
        const struct reply *reply = next(crew, &drained);
        if (reply == NULL || drained) {
            return LOST;
        }
        if (!safe_answered(safe, reply, safe->acked < repeated)) {
            unexpected(crew, "a vote that is safe to repeat", reply);
            return LOST;
        }
    }
    return arena_acked(crew->arena, asked) ? ANSWERED : LOST;
}

static enum answer submit_some(struct crew *crew)
{
    char payload[CREW_PAYLOAD_MAX];
    size_t at[SUBMITS_MAX], sent = 0;
    size_t count = 1 + (size_t)seed_below(&crew->seed, SUBMITS_MAX);
    bool lost = false, drained = false;

    while (sent < count) {
        uint64_t number = crew->submits_made++;
        crew_payload(payload, crew->index, number);
        at[sent++] = history_submit(&crew->history, number);
        if (!client_send(&crew->client, "SUBMIT work PRI %d LEASE 3600000 %s",
                         (int)seed_below(&crew->seed, 10), payload)) {
            break;
        }
    }
    for (size_t i = 0; i < sent; i++) {
        const struct reply *reply = next(crew, &drained);
        if (reply == NULL) {
            return LOST;
        }
        if (drained) {
            lost = true;
        } else if (reply_is_ok(reply) && line_number(reply->line, 1) != UINT64_MAX) {
            crew->history.submits[at[i]].id = line_number(reply->line, 1);
        } else {
            unexpected(crew, "SUBMIT", reply);
            return LOST;
        }
    }
    return lost || !arena_acked(crew->arena, sent) ? LOST : ANSWERED;
}

/* The end of a hold is acknowledged: writes down which. */
static bool take_end(struct crew *crew, const struct reply *reply)
{
    struct end end = {.build = crew->last_build, .token = crew->last_token, .kind = END_PENDING};
    bool good = reply_is(reply, "OK");
    if (strcmp(crew->last_word, "DONE") == 0) {
        end.kind = END_DONE;
    } else if (strcmp(crew->last_word, "FAIL") == 0) {
        good = reply_is(reply, "OK failed") || strncmp(reply->line, "OK pending ", 11) == 0;
        end.kind = reply_is(reply, "OK failed") ? END_FAILED : END_PENDING;
    }
    if (!good) {
        return unexpected(crew, crew->last_word, reply);
    }
    history_end(&crew->history, &end);
    crew->last_build = 0;
    if (end.kind == END_PENDING) {
        crew->stale_build = end.build;
        crew->stale_token = end.token;
    }
    return true;
}

/* Sends the end of the hold, or sends it again. A repeated FAIL or RELEASE may find that the build
 * has moved on. */
static enum answer send_end(struct crew *crew, bool is_repeated)
{
    char result[CREW_PAYLOAD_MAX + 16] = "";
    bool drained = false, is_done = strcmp(crew->last_word, "DONE") == 0;
    if (is_done) {
        char text[CREW_PAYLOAD_MAX];
        crew_result(text, crew->last_build, crew->last_token);
        snprintf(result, sizeof(result), " RESULT %s", text);
    }
    if (!client_send(&crew->client, "%s %" PRIu64 " %" PRIu64 "%s", crew->last_word,
                     crew->last_build, crew->last_token, result)) {
        return LOST;
    }
    const struct reply *reply = next(crew, &drained);
    if (reply == NULL || drained) {
        return LOST;
    }
    if (is_repeated && !is_done && reply_is_err(reply, "STALE")) {
        crew->last_build = 0;
        return ANSWERED;
    }
    return take_end(crew, reply) && arena_acked(crew->arena, 1) ? ANSWERED : LOST;
}

static enum answer end_hold(struct crew *crew)
{
    uint64_t dice = seed_below(&crew->seed, 10);
    crew->last_word = dice < 6 ? "DONE" : dice < 8 ? "FAIL" : "RELEASE";
    crew->last_build = crew->held->build;
    crew->last_token = crew->held->token;
    crew->held->to_ns = now_ns();
    crew->held = NULL;
    return send_end(crew, false);
}

/* Whoever holds a build gets that one again, by the same token, whatever crashed in between. */
static bool take_claim(struct crew *crew, const struct claim *claim)
{
    const struct hold *held = crew->held;
    if (held == NULL) {
        struct hold hold = {.build = claim->id,
                            .token = claim->token,
                            .from_ns = now_ns(),
                            .to_ns = UINT64_MAX,
                            .client = crew->index};
        crew->held = history_hold(&crew->history, &hold);
        return true;
    }
    if (held->build != claim->id || held->token != claim->token || !claim->again) {
        return history_fault(&crew->history,
                             "client %zu holds build %" PRIu64 " by token %" PRIu64
                             " and its claim gave build %" PRIu64 " by token %" PRIu64 "%s",
                             crew->index, held->build, held->token, claim->id, claim->token,
                             claim->again ? " again=1" : "");
    }
    return true;
}

static enum answer claim_one(struct crew *crew)
{
    struct claim claim;
    bool drained = false;
    const char *wait = seed_below(&crew->seed, 4) == 0 ? " WAIT 20" : "";
    if (!client_send(&crew->client, "CLAIM w%zu work%s", crew->index, wait)) {
        return LOST;
    }
    const struct reply *reply = next(crew, &drained);
    if (reply == NULL || drained) {
        return LOST;
    }
    if (reply_is(reply, "NIL") && crew->held == NULL) {
        return arena_acked(crew->arena, 1) ? ANSWERED : LOST;
    }
    if (!claim_parse(&claim, reply)) {
        unexpected(crew, "CLAIM", reply);
        return LOST;
    }
    return take_claim(crew, &claim) && arena_acked(crew->arena, 1) ? ANSWERED : LOST;
}

static enum answer beat(struct crew *crew)
{
    bool drained = false;
    if (!client_send(&crew->client, "BEAT %" PRIu64 " %" PRIu64 " PROG 50", crew->held->build,
                     crew->held->token)) {
        return LOST;
    }
    const struct reply *reply = next(crew, &drained);
    if (reply == NULL || drained) {
        return LOST;
    }
    if (!reply_is_ok(reply)) {
        unexpected(crew, "BEAT of a held build", reply);
        return LOST;
    }
    return arena_acked(crew->arena, 1) ? ANSWERED : LOST;
}

/* Whoever has the build by now, an old token does nothing to it. (A RELEASE as it was said before
 * is a repeated one, and OK until the next claim: so this one has a delay.) */
static enum answer use_stale_token(struct crew *crew)
{
    static const char *const verbs[] = {"BEAT", "DONE", "RELEASE"};
    bool drained = false;
    uint64_t which = seed_below(&crew->seed, 3);
    if (!client_send(&crew->client, "%s %" PRIu64 " %" PRIu64 "%s", verbs[which], crew->stale_build,
                     crew->stale_token, which == 2 ? " DELAY 1" : "")) {
        return LOST;
    }
    const struct reply *reply = next(crew, &drained);
    if (reply == NULL || drained) {
        return LOST;
    }
    if (!reply_is_err(reply, "STALE")) {
        unexpected(crew, "a stale token", reply);
        return LOST;
    }
    return arena_acked(crew->arena, 1) ? ANSWERED : LOST;
}

/* A read shows every vote acknowledged to this client, and never less than a read before it. */
static enum answer look(struct crew *crew)
{
    uint64_t acked = 0;
    const struct reply *reply = client_ask(&crew->client, "TALLY race");
    if (reply == NULL) {
        return LOST;
    }
    if (reply->row_count == 0) {
        unexpected(crew, "TALLY", reply);
        return LOST;
    }
    uint64_t total = line_field_number(reply->rows[0], "total");
    for (size_t i = 0; i < OPTIONS; i++) {
        acked += crew->history.votes_acked[i];
    }
    if (total == UINT64_MAX || total < acked || total < crew->total_seen) {
        history_fault(&crew->history,
                      "client %zu reads total=%" PRIu64 " after %" PRIu64 " votes of its own and a "
                      "read of %" PRIu64,
                      crew->index, total, acked, crew->total_seen);
        return LOST;
    }
    crew->total_seen = total;
    return arena_acked(crew->arena, 1) ? ANSWERED : LOST;
}

/* A new connection: says who it is, repeats the end that was not answered, asks what it holds. */
static enum answer settle(struct crew *crew)
{
    bool drained = false;
    if (!client_send(&crew->client, "WORKER w%zu", crew->index)) {
        return LOST;
    }
    const struct reply *reply = next(crew, &drained);
    if (reply == NULL || drained) {
        return LOST;
    }
    if (!reply_is(reply, "OK new") && !reply_is(reply, "OK again")) {
        unexpected(crew, "WORKER", reply);
        return LOST;
    }
    if (crew->last_build != 0 && send_end(crew, true) == LOST) {
        return LOST;
    }
    if (send_safe(crew, crew->safe.sent, crew->safe.sent) == LOST) {
        return LOST;
    }
    return crew->held != NULL ? claim_one(crew) : ANSWERED;
}

static enum answer step(struct crew *crew)
{
    uint64_t dice = seed_below(&crew->seed, 100);
    if (dice < 25) {
        return vote_burst(crew);
    }
    if (dice < 35) {
        uint64_t more = 1 + seed_below(&crew->seed, SAFE_MAX);
        return send_safe(crew, crew->safe.sent, crew->safe.sent + more);
    }
    if (dice < 50) {
        return submit_some(crew);
    }
    if (dice < 53) {
        return look(crew);
    }
    if (dice < 56 && crew->stale_build != 0) {
        return use_stale_token(crew);
    }
    if (crew->held == NULL) {
        return claim_one(crew);
    }
    return dice < 75 ? beat(crew) : dice < 80 ? claim_one(crew) : end_hold(crew);
}

void *crew_run(void *argument)
{
    struct crew *crew = argument;
    while (crew->history.fault[0] == '\0' && arena_connect(crew->arena, &crew->client)) {
        enum answer outcome = settle(crew);
        while (outcome == ANSWERED) {
            outcome = step(crew);
        }
        crew->history.losses++;
        client_close(&crew->client);
    }
    if (crew->history.fault[0] != '\0') {
        arena_fault(crew->arena);
    }
    return NULL;
}
