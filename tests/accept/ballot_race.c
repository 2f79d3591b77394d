/* Voters who race: one vote each, whatever comes at once. */
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
#include <sys/resource.h>

enum {
    CROWD = 1000,
    CROWD_FILES = CROWD + 100,
    CROWD_RUNS = 4,
    MOVERS = 16,
    MOVES = 60, /* of a mover before each crash */
    MOVE_CRASHES = 3,
    MOVE_OPTIONS = 5,
    MOVE_NAMES = 24, /* voters, whom all movers share */
    MOVES_ALL = MOVERS * MOVES * MOVE_CRASHES
};

static struct server server;
static struct client crowd[CROWD];

/* ---- a thousand clients, one voter ---- */

/* The server inherits the limit. */
static void allow_files(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < CROWD_FILES) {
        limit.rlim_cur = CROWD_FILES;
        if (limit.rlim_max < CROWD_FILES || setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            check_skip("%d clients need as many open files", CROWD);
        }
    }
}

/* Returns how many were counted. */
static size_t vote_as_one(uint64_t option, size_t options, const char *mode)
{
    bool may_change = strcmp(mode, "change") == 0;
    size_t counted = 0;
    for (size_t i = 0; i < CROWD; i++) {
        EXPECT(client_send(&crowd[i], "VOTE %" PRIu64 " VOTER ada", option + i % options),
               "client %zu is cut off", i);
    }
    for (size_t i = 0; i < CROWD; i++) {
        const struct reply *reply = client_next(&crowd[i]);
        EXPECT(may_change ? reply_is_ok(reply)
                          : reply_is(reply, "OK 1") || reply_is_err(reply, "VOTED"),
               "%s: client %zu got '%s'", mode, i, reply->line);
        counted += reply_is_ok(reply);
    }
    return counted;
}

static void crowd_crash(void)
{
    server_crash(&server);
    client_close_all(crowd, CROWD);
    client_open_all(crowd, CROWD, &server);
}

static void expect_one_vote(const char *poll)
{
    struct fold fold;
    EXPECT(scene_total(&crowd[0], poll) == 1, "%s has not one vote", poll);
    fold_begin(&fold, &server);
    fold_all(&fold);
    const struct fold_poll *folded = fold_poll(&fold, poll);
    EXPECT(folded->total == 1 && folded->voters == 1,
           "by the log %s has %" PRIu64 " votes of %" PRIu64 " voters", poll, folded->total,
           folded->voters);
    fold_fini(&fold);
}

static void crowd_of_one(const char *mode)
{
    char poll[32];
    bool is_once = strcmp(mode, "once") == 0;
    allow_files();
    server_start(&server, NULL);
    client_open_all(crowd, CROWD, &server);
    for (size_t run = 0; run < CROWD_RUNS; run++) {
        size_t options = run % 2 == 0 ? 1 : 3;
        snprintf(poll, sizeof(poll), "poll-%zu", run);
        client_expect(&crowd[0], "OK", "POLL %s MODE %s", poll, mode);
        uint64_t option = scene_option(&crowd[0], poll, "first");
        for (size_t i = 1; i < options; i++) {
            (void)scene_option(&crowd[0], poll, i == 1 ? "second" : "third");
        }
        size_t counted = vote_as_one(option, options, mode);
        EXPECT(counted == (is_once ? 1 : CROWD), "run %zu: %zu were counted", run, counted);
        expect_one_vote(poll);
        crowd_crash();
        counted = vote_as_one(option, options, mode);
        EXPECT(counted == (is_once ? 0 : CROWD), "run %zu: %zu were counted again", run, counted);
        expect_one_vote(poll);
    }
    client_close_all(crowd, CROWD);
    server_stop(&server);
}

static void thousand_once(void)
{
    crowd_of_one("once");
}

static void thousand_change(void)
{
    crowd_of_one("change");
}

/* ---- votes that move ---- */

/* What a mover was told, by its key. */
struct move_told {
    bool is_counted;
    uint64_t votes, prev; /* 0: none was told */
};

static struct move_told told[MOVES_ALL];
static uint64_t move_options[MOVE_OPTIONS];

static void send_move(struct client *mover, struct seed *seed, size_t number)
{
    int voter = (int)seed_below(seed, MOVE_NAMES);
    if (seed_below(seed, 5) == 0) {
        EXPECT(client_send(mover, "UNVOTE moves VOTER v%d KEY m%zu", voter, number), "cut off");
        return;
    }
    uint64_t option = move_options[seed_below(seed, MOVE_OPTIONS)];
    EXPECT(client_send(mover, "VOTE %" PRIu64 " VOTER v%d KEY m%zu", option, voter, number),
           "cut off");
}

static void hear_move(struct client *mover, size_t number)
{
    const struct reply *reply = client_next(mover);
    EXPECT(reply_is_ok(reply) || reply_is(reply, "NIL"), "move %zu got '%s'", number, reply->line);
    uint64_t prev = line_field_number(reply->line, "prev");
    told[number].is_counted = reply_is_ok(reply);
    told[number].votes = reply_is_ok(reply) ? line_number(reply->line, 1) : 0;
    told[number].prev = prev == UINT64_MAX ? 0 : prev;
}

static void move_all(struct seed *seed, size_t first)
{
    for (size_t i = 0; i < MOVES; i++) {
        for (size_t m = 0; m < MOVERS; m++) {
            send_move(&crowd[m], seed, first + i * MOVERS + m);
        }
    }
    for (size_t i = 0; i < MOVES; i++) {
        for (size_t m = 0; m < MOVERS; m++) {
            hear_move(&crowd[m], first + i * MOVERS + m);
        }
    }
}

/* What the log has of a move is what its mover was told. */
static void expect_move(const struct fold *fold, bool seen[MOVES_ALL])
{
    const struct fold_record *record = &fold->record;
    size_t number;
    bool is_vote = strcmp(record->type, "BALLOT") == 0;
    if (sscanf(record->key, "m%zu", &number) != 1 || !record->has_counted) {
        return;
    }
    EXPECT(number < MOVES_ALL && !seen[number], "the log counts move %zu again", number);
    seen[number] = true;
    uint64_t votes = is_vote ? record->votes[0] : fold_votes(fold, record->prev);
    EXPECT(told[number].is_counted && told[number].votes == votes &&
               (!is_vote || told[number].prev == record->prev),
           "move %zu was told %" PRIu64 " prev=%" PRIu64 ", the log has %" PRIu64 " prev=%" PRIu64,
           number, told[number].votes, told[number].prev, votes, record->prev);
}

static void expect_moves(size_t made)
{
    static bool seen[MOVES_ALL];
    struct fold fold;
    memset(seen, 0, sizeof(seen));
    fold_begin(&fold, &server);
    while (fold_next(&fold)) {
        uint64_t sum = 0, total = 0, voters = 0;
        for (uint64_t id = 1; id <= fold.option_count; id++) {
            sum += fold_votes(&fold, id);
        }
        if (fold.poll_count > 0) {
            total = fold_poll(&fold, "moves")->total;
            voters = fold_poll(&fold, "moves")->voters;
        }
        EXPECT(sum == voters && sum == total,
               "at %" PRIu64 " the options have %" PRIu64 " votes of %" PRIu64 " voters",
               fold.record.lsn, sum, voters);
        expect_move(&fold, seen);
    }
    for (size_t i = 0; i < made; i++) {
        EXPECT(!told[i].is_counted || seen[i], "move %zu was counted, the log has it not", i);
    }
    for (size_t i = 0; i < MOVE_OPTIONS; i++) {
        fold_expect_votes(&fold, move_options[i], scene_votes(&crowd[0], "moves", move_options[i]));
    }
    fold_fini(&fold);
}

static void moving_voters(void)
{
    char label[32];
    struct seed seed = {7};
    server_start(&server, NULL);
    client_open_all(crowd, MOVERS, &server);
    client_expect(&crowd[0], "OK", "POLL moves MODE change");
    for (size_t i = 0; i < MOVE_OPTIONS; i++) {
        snprintf(label, sizeof(label), "Option-%zu", i);
        move_options[i] = scene_option(&crowd[0], "moves", label);
    }
    for (size_t i = 0; i < MOVE_CRASHES; i++) {
        move_all(&seed, i * MOVERS * MOVES);
        if (i == 1) {
            EXPECT(reply_is_ok(client_get(&crowd[0], "SNAPSHOT")), "no snapshot");
        }
        server_crash(&server);
        client_close_all(crowd, MOVERS);
        client_open_all(crowd, MOVERS, &server);
        expect_moves((i + 1) * MOVERS * MOVES);
    }
    client_close_all(crowd, MOVERS);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"1000 clients vote as one voter: one is counted, the others are VOTED", thousand_once},
    {"1000 clients change the vote of one voter: it stays one vote", thousand_change},
    {"Voters who change and take back: behind every record of the log one vote each",
     moving_voters},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
