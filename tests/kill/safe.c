/* What is sent, what may come back, and what the log must have. */
#include "tests/kill/safe.h"

#include "tests/lib/expect.h"
#include "tests/lib/fold.h"
#include "tests/lib/scene.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHARED_VOTERS = 10 };

static const char *const polls[SAFE_KINDS] = {"keyed", "once", "change"};

void safe_set_up(struct safe_options *options, struct client *client)
{
    client_expect(client, "OK", "POLL keyed");
    client_expect(client, "OK", "POLL once MODE once");
    client_expect(client, "OK", "POLL change MODE change");
    for (int kind = 0; kind < SAFE_KINDS; kind++) {
        options->of[kind] = scene_option(client, polls[kind], "Yes");
    }
    options->other = scene_option(client, polls[SAFE_CHANGE], "No");
}

void safe_request(char line[SAFE_LINE_MAX], const struct safe_options *options, size_t index,
                  uint64_t number)
{
    enum safe_kind kind = (enum safe_kind)(number % SAFE_KINDS);
    uint64_t turn = number / SAFE_KINDS;
    uint64_t option = kind == SAFE_CHANGE && turn % 2 == 1 ? options->other : options->of[kind];
    int len = snprintf(line, SAFE_LINE_MAX, "VOTE %" PRIu64, option);
    char *words = line + len;
    size_t room = SAFE_LINE_MAX - (size_t)len;
    if (kind == SAFE_KEY) {
        snprintf(words, room, " KEY c-%zu-%" PRIu64, index, number);
    } else if (kind == SAFE_ONCE) {
        snprintf(words, room, " VOTER c-%zu-%" PRIu64, index, number);
    } else {
        snprintf(words, room, " VOTER shared-%" PRIu64 " KEY c-%zu-%" PRIu64,
                 (turn + index) % SHARED_VOTERS, index, number);
    }
}

bool safe_answered(struct safe *safe, const struct reply *reply, bool is_repeated)
{
    uint64_t told = line_number(reply->line, 1);
    bool is_voted = safe->acked % SAFE_KINDS == SAFE_ONCE && is_repeated;
    if (is_voted && reply_is_err(reply, "VOTED")) {
        told = 0;
    } else if (!reply_is_ok(reply) || told == UINT64_MAX) {
        return false;
    }
    if (safe->acked == safe->room) {
        safe->room = safe->room * 2 + 64;
        safe->told = realloc(safe->told, safe->room * sizeof(*safe->told));
        EXPECT(safe->told != NULL, "no memory");
    }
    safe->told[safe->acked++] = told;
    return true;
}

/* Marks the vote of the record as counted; it must be one that was sent, and as it was told. */
static void expect_record(const struct safe *const safe[], size_t count, unsigned char *seen[],
                          const struct fold_record *record)
{
    size_t c;
    uint64_t number;
    const char *name = record->key[0] != '\0' ? record->key : record->voter;
    if (!record->has_counted || sscanf(name, "c-%zu-%" SCNu64, &c, &number) != 2) {
        return;
    }
    EXPECT(c < count && number < safe[c]->sent, "%s was not sent", name);
    EXPECT(seen[c][number] == 0, "%s counts twice", name);
    seen[c][number] = 1;
    uint64_t told = number < safe[c]->acked ? safe[c]->told[number] : 0;
    EXPECT(told == 0 || told == record->votes[0], "%s was told %" PRIu64 ", the log has %" PRIu64,
           name, told, record->votes[0]);
}

static void expect_log(const struct safe *const safe[], size_t count, const struct server *server,
                       struct fold *fold)
{
    unsigned char **seen = calloc(count, sizeof(*seen));
    for (size_t c = 0; c < count; c++) {
        seen[c] = calloc((size_t)safe[c]->sent + 1, 1);
    }
    fold_begin(fold, server);
    while (fold_next(fold)) {
        expect_record(safe, count, seen, &fold->record);
    }
    for (size_t c = 0; c < count; c++) {
        for (uint64_t i = 0; i < safe[c]->acked; i++) {
            EXPECT(seen[c][i] == 1, "c-%zu-%" PRIu64 " was acknowledged, the log has it not", c, i);
        }
        free(seen[c]);
    }
    free((void *)seen);
}

/* How many of the first `until` requests of a client are of this kind. */
static uint64_t of_kind(uint64_t until, int kind)
{
    return (until + SAFE_KINDS - 1 - (uint64_t)kind) / SAFE_KINDS;
}

void safe_verdict(const struct safe *const safe[], size_t count, const struct safe_options *options,
                  const struct server *server, bool is_whole)
{
    struct client client;
    struct fold fold = {0};
    client_open(&client, server);
    if (is_whole) {
        expect_log(safe, count, server, &fold);
    }
    for (int kind = 0; kind < SAFE_KINDS; kind++) {
        uint64_t acked = 0, sent = 0, total = scene_total(&client, polls[kind]);
        for (size_t c = 0; c < count; c++) {
            acked += of_kind(safe[c]->acked, kind);
            sent += of_kind(safe[c]->sent, kind);
        }
        bool is_good =
            kind == SAFE_CHANGE ? total <= SHARED_VOTERS : total >= acked && total <= sent;
        EXPECT(is_good, "%s: %" PRIu64 " acknowledged, %" PRIu64 " counted, %" PRIu64 " sent",
               polls[kind], acked, total, sent);
        if (is_whole) {
            fold_expect_votes(&fold, options->of[kind],
                              scene_votes(&client, polls[kind], options->of[kind]));
        }
        printf("  %s: %" PRIu64 " votes acknowledged, %" PRIu64 " counted, %" PRIu64 " sent\n",
               polls[kind], acked, total, sent);
    }
    fold_fini(&fold);
    client_close(&client);
}

void safe_fini(struct safe *safe)
{
    free(safe->told);
    memset(safe, 0, sizeof(*safe));
}
