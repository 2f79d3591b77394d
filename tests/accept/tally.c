/* TALLY under load: one consistent cut each, never back, and what the log has at its lsn. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/fold.h"
#include "tests/lib/scene.h"
#include "tests/lib/seed.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VOTERS = 8,
    READERS = 4,
    ROUNDS = 40,
    BURST = 32, /* votes of a connection in a round */
    READS = 3,  /* of a reader in a round */
    NAMES = 60, /* of voters who change their votes: they meet, on several connections */
    NAMES_ONCE = 4000,
    SEEN_MAX = (ROUNDS + 2) * READERS * READS
};

struct tally_load {
    size_t options;
    const char *mode;
    size_t top; /* 0: all lines */
};

/* What one TALLY has shown. */
struct tally_seen {
    uint64_t lsn, total;
    uint64_t *options, *votes; /* of each line */
    size_t count;
};

static struct server server;
static struct client voters[VOTERS], readers[READERS];
static uint64_t *option_ids;
static struct tally_seen seen[SEEN_MAX];
static size_t seen_count;

static void set_up(const struct tally_load *load)
{
    server_start(&server, NULL);
    client_open_all(voters, VOTERS, &server);
    client_open_all(readers, READERS, &server);
    client_expect(&voters[0], "OK", "POLL load MODE %s", load->mode);
    option_ids = calloc(load->options, sizeof(*option_ids));
    for (size_t i = 0; i < load->options; i++) {
        EXPECT(client_send(&voters[0], "OPTION load Option-%zu", i), "cut off");
    }
    for (size_t i = 0; i < load->options; i++) {
        option_ids[i] = line_number(client_next(&voters[0])->line, 1);
        EXPECT(option_ids[i] != UINT64_MAX, "option %zu has no id", i);
    }
    seen_count = 0;
}

static void send_votes(const struct tally_load *load, struct seed *seed)
{
    char words[64] = "";
    uint64_t names = strcmp(load->mode, "once") == 0 ? NAMES_ONCE : NAMES;
    for (size_t i = 0; i < BURST; i++) {
        for (size_t v = 0; v < VOTERS; v++) {
            uint64_t option = option_ids[seed_below(seed, load->options)];
            if (strcmp(load->mode, "free") != 0) {
                snprintf(words, sizeof(words), " VOTER v%" PRIu64, seed_below(seed, names));
            }
            EXPECT(client_send(&voters[v], "VOTE %" PRIu64 "%s", option, words), "cut off");
        }
    }
}

static void hear_votes(const struct tally_load *load)
{
    for (size_t v = 0; v < VOTERS; v++) {
        for (size_t i = 0; i < BURST; i++) {
            const struct reply *reply = client_next(&voters[v]);
            bool may_refuse = strcmp(load->mode, "once") == 0;
            EXPECT(reply_is_ok(reply) || (may_refuse && reply_is_err(reply, "VOTED")),
                   "a vote gave '%s'", reply->line);
        }
    }
}

static void ask_tallies(const struct tally_load *load)
{
    for (size_t i = 0; i < READS; i++) {
        for (size_t r = 0; r < READERS; r++) {
            bool is_sent = load->top != 0
                               ? client_send(&readers[r], "TALLY load TOP %zu", load->top)
                               : client_send(&readers[r], "TALLY load");
            EXPECT(is_sent, "cut off");
        }
    }
}

/* Lines come by votes, and among equals by id; all of them together are the total. */
static void take_tally(const struct tally_load *load, const struct reply *reply)
{
    struct tally_seen *tally = &seen[seen_count++];
    uint64_t sum = 0;
    tally->lsn = line_field_number(reply->rows[0], "lsn");
    tally->total = line_field_number(reply->rows[0], "total");
    tally->count = reply->row_count - 1;
    tally->options = calloc(tally->count + 1, sizeof(*tally->options));
    tally->votes = calloc(tally->count + 1, sizeof(*tally->votes));
    for (size_t i = 0; i < tally->count; i++) {
        tally->options[i] = line_number(reply->rows[i + 1], 0);
        tally->votes[i] = line_number(reply->rows[i + 1], 1);
        sum += tally->votes[i];
        EXPECT(i == 0 || tally->votes[i] < tally->votes[i - 1] ||
                   (tally->votes[i] == tally->votes[i - 1] &&
                    tally->options[i] > tally->options[i - 1]),
               "'%s' stands behind '%s'", reply->rows[i + 1], reply->rows[i]);
    }
    EXPECT(load->top != 0 ? sum <= tally->total : sum == tally->total,
           "the lines have %" PRIu64 " votes below '%s'", sum, reply->rows[0]);
    EXPECT(tally->count == (load->top != 0 ? load->top : load->options), "%zu lines", tally->count);
}

static void hear_tallies(const struct tally_load *load)
{
    for (size_t r = 0; r < READERS; r++) {
        uint64_t lsn = 0, total = 0;
        for (size_t i = 0; i < READS; i++) {
            const struct reply *reply = client_next(&readers[r]);
            if (reply_is_err(reply, "BUSY")) {
                continue; /* votes have overtaken it */
            }
            EXPECT(reply->row_count > 0, "TALLY gave '%s'", reply->line);
            take_tally(load, reply);
            const struct tally_seen *tally = &seen[seen_count - 1];
            EXPECT(tally->lsn >= lsn && tally->total >= total, "a TALLY goes back to '%s'",
                   reply->rows[0]);
            lsn = tally->lsn;
            total = tally->total;
        }
    }
}

static int compare_lsn(const void *left, const void *right)
{
    const struct tally_seen *a = left, *b = right;
    return a->lsn < b->lsn ? -1 : a->lsn > b->lsn;
}

/* No option that is not shown has more votes than the last one that is. */
static void expect_top(const struct fold *fold, const struct tally_seen *tally)
{
    size_t above = 0;
    uint64_t least = tally->count > 0 ? tally->votes[tally->count - 1] : UINT64_MAX;
    for (uint64_t id = 1; id <= fold->option_count; id++) {
        above += fold_votes(fold, id) > least;
    }
    EXPECT(above <= tally->count, "%zu options have more votes than the last of %zu lines", above,
           tally->count);
}

/* Each TALLY is the log at its lsn; and each voter has one vote behind every record of it. */
static void expect_log(bool has_voters)
{
    struct fold fold;
    uint64_t total = 0;
    size_t at = 0;
    qsort(seen, seen_count, sizeof(*seen), compare_lsn);
    fold_begin(&fold, &server);
    while (fold_next(&fold)) {
        const struct fold_poll *poll = fold.poll_count > 0 ? fold_poll(&fold, "load") : NULL;
        for (; at < seen_count && seen[at].lsn == fold.record.lsn; at++) {
            EXPECT(poll != NULL && poll->total == seen[at].total && poll->total >= total,
                   "at %" PRIu64 " TALLY had %" PRIu64 " votes", seen[at].lsn, seen[at].total);
            total = seen[at].total;
            for (size_t i = 0; i < seen[at].count; i++) {
                fold_expect_votes(&fold, seen[at].options[i], seen[at].votes[i]);
            }
            expect_top(&fold, &seen[at]);
        }
        EXPECT(poll == NULL || !has_voters || poll->total == poll->voters,
               "%" PRIu64 " votes of %" PRIu64 " voters at %" PRIu64, poll->total, poll->voters,
               fold.record.lsn);
    }
    EXPECT(at == seen_count, "TALLY had lsn=%" PRIu64 ", the log ends at %" PRIu64, seen[at].lsn,
           fold.record.lsn);
    fold_fini(&fold);
}

static void crash(void)
{
    server_crash(&server);
    client_close_all(voters, VOTERS);
    client_close_all(readers, READERS);
    client_open_all(voters, VOTERS, &server);
    client_open_all(readers, READERS, &server);
}

static void run_load(const struct tally_load *load)
{
    struct seed seed = {load->options};
    uint64_t total = 0;
    set_up(load);
    for (size_t round = 0; round < ROUNDS; round++) {
        send_votes(load, &seed);
        ask_tallies(load);
        hear_tallies(load);
        hear_votes(load);
        if (round == ROUNDS / 2) {
            total = scene_total(&readers[0], "load");
            crash();
            EXPECT(scene_total(&readers[0], "load") == total, "the crash changed the total");
        }
    }
    ask_tallies(load); /* with nothing on its way, votes overtake none of them */
    hear_tallies(load);
    printf("  %zu tallies\n", seen_count);
    EXPECT(seen_count >= READERS * READS, "%zu tallies", seen_count);
    expect_log(strcmp(load->mode, "free") != 0);
    for (size_t i = 0; i < seen_count; i++) {
        free(seen[i].options);
        free(seen[i].votes);
    }
    free(option_ids);
    client_close_all(voters, VOTERS);
    client_close_all(readers, READERS);
    server_stop(&server);
}

static void of_plain_votes(void)
{
    run_load(&(struct tally_load){.options = 5, .mode = "free"});
}

static void of_a_large_poll(void)
{
    run_load(&(struct tally_load){.options = 2000, .mode = "free"});
}

static void top_of_a_large_poll(void)
{
    run_load(&(struct tally_load){.options = 2000, .mode = "free", .top = 20});
}

static void of_voters_who_change(void)
{
    run_load(&(struct tally_load){.options = 5, .mode = "change"});
}

static void of_a_large_poll_of_voters(void)
{
    run_load(&(struct tally_load){.options = 2000, .mode = "once", .top = 20});
}

static const struct check_test tests[] = {
    {"TALLY under votes is the log at its lsn, and never goes back", of_plain_votes},
    {"TALLY of a large poll, too", of_a_large_poll},
    {"TALLY TOP of a large poll, too", top_of_a_large_poll},
    {"TALLY of voters who change their votes, too", of_voters_who_change},
    {"TALLY TOP of a large poll of voters, too", of_a_large_poll_of_voters},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
