/* A connection sees its own past: requests in one write get the replies of single ones. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*
 * Two servers go through the same pairs of requests, each pair on a poll, a queue and a worker of
 * its own. One server gets a pair request by request, the other in one write. All their replies,
 * and the state that can be read afterwards, must be the same except for times.
 *
 * In a request, {p} {q} {w} are the names of the pair, {o} its option's id, {h} the id and token of
 * the build that the worker holds, {i} that id alone, {n} the id of a build that is pending.
 */
enum { LINE_MAX_BYTES = 512, SAID_MAX_BYTES = 16384 };

struct past_request {
    const char *verb;
    const char *text;
    bool changes;
};

static const struct past_request requests[] = {
    {"PING", "PING", false},
    {"HELP", "HELP PING", false},
    {"AUTH", "AUTH key", false},
    {"INFO", "INFO polls", false},
    {"INFO", "INFO queues", false},
    {"SNAPSHOT", "SNAPSHOT", false},
    {"POLL", "POLL {p} CLOSE 1", true},
    {"POLL", "POLL {p} OPEN 99999999999999", true},
    {"POLL", "POLL {p} RATE 1/86400000", true},
    {"POLL", "POLL {p} CLOSE 0", true},
    {"POLL", "POLL {p} MODE change", true},
    {"POLL", "POLL {p} MODE once", true},
    {"POLLS", "POLLS AFTER {p}. COUNT 1", false},
    {"POLLS", "POLLS AFTER a COUNT 1", false},
    {"OPTION", "OPTION {p} new", true},
    {"OPTION", "OPTION {p} first", true},
    {"FIND", "FIND {p} ne", false},
    {"VOTE", "VOTE {o}", true},
    {"VOTE", "vote {p}/new n 2", true},
    {"VOTE", "VOTE {o} BY desk", true},
    {"VOTE", "VOTE {o} VOTER v", true},
    {"VOTE", "VOTE {o} {p}/new VOTER v", true},
    {"UNVOTE", "UNVOTE {p} VOTER v", true},
    {"RESET", "RESET {p}", true},
    {"POLLDEL", "POLLDEL {p}", true},
    {"SEED", "SEED {o} 5 OVER 1000", true},
    {"TALLY", "TALLY {p}", false},
    {"TREND", "TREND {p} 24h", false},
    {"EVENTS", "EVENTS COUNT 4 MATCH poll/{p} EACH", false},
    {"SUBMIT", "SUBMIT {q} UNIQ u :more", true},
    {"SUBMIT", "SUBMIT {q}new PRI 0 :other", true},
    {"CLAIM", "CLAIM {w} {q}", true},
    {"CLAIM", "CLAIM {w} {q} COUNT 2", true},
    {"BEAT", "BEAT {h} PROG 50", true},
    {"DONE", "DONE {h} RESULT :app", true},
    {"FAIL", "FAIL {h} TEXT :why", true},
    {"FAIL", "FAIL {h} DEAD", true},
    {"RELEASE", "RELEASE {h}", true},
    {"BUILD", "BUILD {i}", false},
    {"BUILDS", "BUILDS {q}", false},
    {"PAYLOAD", "PAYLOAD {n}", false},
    {"RESULT", "RESULT {i}", false},
    {"QUEUES", "QUEUES {q}", false},
    {"WORKER", "WORKER {w} SLOTS 4 TAGS t", true},
    {"WORKERS", "WORKERS {w}", false},
    {"HELD", "HELD {w}", false},
    {"BYE", "BYE {w}", true},
    {"QUIT", "QUIT", false},
};

struct side {
    struct server server;
    struct client client;
    uint64_t option, held, token, pending; /* of the present pair */
    char said[SAID_MAX_BYTES];
    size_t said_bytes;
};

static struct side one_by_one, at_once;

/* ---- replies, without the numbers that may differ ---- */

/* Numbers that are times, or of the log, become `~`; so does the word with the index `lease`, the
 * rest of a lease. */
static void say_line(struct side *side, const char *line, size_t lease)
{
    static const char *const masked[] = {"lsn=", "rate_per_min=", "bytes=", "retry_ms="};
    char word[LINE_MAX_BYTES];
    for (size_t w = 0; line_word(line, w, word, sizeof(word)); w++) {
        char *equals = strchr(word, '=');
        bool is_time = equals != NULL && equals - word > 3 && strncmp(equals - 3, "_ms", 3) == 0;
        for (size_t i = 0; i < COUNT_OF(masked); i++) {
            is_time = is_time || strncmp(word, masked[i], strlen(masked[i])) == 0;
        }
        bool is_of_event = line[0] == '>' && (w == 1 || w == 2); /* its lsn and time */
        if (is_time || is_of_event || w == lease) {
            snprintf(word, sizeof(word), "~");
        }
        int len =
            snprintf(side->said + side->said_bytes, SAID_MAX_BYTES - side->said_bytes, "%s ", word);
        EXPECT(len > 0 && side->said_bytes + (size_t)len < SAID_MAX_BYTES, "too much was said");
        side->said_bytes += (size_t)len;
    }
}

/* The index of the rest of a lease (a repeated claim, HELD), or of the time of a bucket. */
static size_t lease_in(const char *line, const char *of, bool is_row)
{
    char field[LINE_MAX_BYTES];
    bool is_again = line_field(line, "again", field, sizeof(field));
    bool is_held = is_row && strncmp(of, "HELD", 4) == 0;
    if (is_row && strncmp(of, "TREND", 5) == 0) {
        return 0;
    }
    return is_again || is_held ? (is_row ? 4 : 5) : SIZE_MAX;
}

static void hear(struct side *side, const char *of)
{
    const struct reply *reply = client_next(&side->client);
    if (strncmp(of, "SNAPSHOT", 8) == 0) {
        say_line(side, reply_is_ok(reply) ? "a snapshot" : reply->line, SIZE_MAX);
        return;
    }
    say_line(side, reply->line, lease_in(reply->line, of, false));
    /* of a TREND the last row alone: the others tell when the votes came */
    bool is_trend = strncmp(of, "TREND", 5) == 0 && reply->row_count > 0;
    size_t first = is_trend ? reply->row_count - 1 : 0;
    for (size_t i = first; i < reply->row_count; i++) {
        say_line(side, reply->rows[i], lease_in(reply->rows[i], of, true));
    }
    if (reply->blob != NULL) {
        say_line(side, reply->blob, SIZE_MAX);
    }
    say_line(side, "|", SIZE_MAX);
}

/* ---- one pair ---- */

static void put(char *line, size_t *len, const char *text)
{
    size_t bytes = strlen(text);
    EXPECT(*len + bytes < LINE_MAX_BYTES, "a line is too long");
    memcpy(line + *len, text, bytes + 1);
    *len += bytes;
}

/* Fills in the names and ids of the pair. */
static void fill(const struct side *side, unsigned pair, const char *text, char *line)
{
    size_t len = 0;
    char part[64];
    for (line[0] = '\0'; *text != '\0'; text++) {
        if (*text != '{') {
            snprintf(part, sizeof(part), "%c", *text);
            put(line, &len, part);
            continue;
        }
        switch (text[1]) {
        case 'o':
            snprintf(part, sizeof(part), "%" PRIu64, side->option);
            break;
        case 'h':
            snprintf(part, sizeof(part), "%" PRIu64 " %" PRIu64, side->held, side->token);
            break;
        case 'i':
            snprintf(part, sizeof(part), "%" PRIu64, side->held);
            break;
        case 'n':
            snprintf(part, sizeof(part), "%" PRIu64, side->pending);
            break;
        default:
            snprintf(part, sizeof(part), "%c%u", text[1], pair);
            break;
        }
        put(line, &len, part);
        text += 2;
    }
}

static void prepare(struct side *side, unsigned pair)
{
    struct client *client = &side->client;
    client_send(client, "POLL p%u\nOPTION p%u first\nWORKER w%u SLOTS 2", pair, pair, pair);
    client_send(client, "SUBMIT q%u LEASE 3600000 TRIES 2 :a\nSUBMIT q%u :b\nCLAIM w%u q%u", pair,
                pair, pair, pair);
    client_next(client);
    side->option = line_number(client_next(client)->line, 1);
    client_next(client);
    side->held = line_number(client_next(client)->line, 1);
    side->pending = line_number(client_next(client)->line, 1);
    side->token = line_number(client_next(client)->line, 2);
    side->said_bytes = 0;
}

static void run_pair(struct side *side, unsigned pair, const struct past_request *first,
                     const struct past_request *second)
{
    char a[LINE_MAX_BYTES];
    char b[LINE_MAX_BYTES];
    prepare(side, pair);
    fill(side, pair, first->text, a);
    fill(side, pair, second->text, b);
    if (side == &at_once) {
        client_send(&side->client, "%s\n%s", a, b);
        hear(side, a);
    } else {
        client_send(&side->client, "%s", a);
        hear(side, a);
        client_send(&side->client, "%s", b);
    }
    hear(side, b);
    if (strcmp(second->verb, "QUIT") == 0) {
        client_expect_close(&side->client);
        client_close(&side->client);
        client_open(&side->client, &side->server);
    }
    client_send(&side->client, "TALLY p%u\nQUEUES q%u\nBUILDS q%u\nWORKERS", pair, pair, pair);
    for (int i = 0; i < 4; i++) {
        hear(side, "");
    }
    client_send(&side->client, "BYE w%u", pair); /* so that WORKERS stays short */
    client_next(&side->client);
}

static void all_pairs(const char *threads)
{
    const char *const args[] = {"--threads", threads, NULL};
    unsigned pair = 0;
    server_start(&one_by_one.server, args);
    server_start(&at_once.server, args);
    client_open(&one_by_one.client, &one_by_one.server);
    client_open(&at_once.client, &at_once.server);
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        for (size_t k = 0; requests[i].changes && k < COUNT_OF(requests); k++) {
            run_pair(&one_by_one, ++pair, &requests[i], &requests[k]);
            run_pair(&at_once, pair, &requests[i], &requests[k]);
            EXPECT(strcmp(one_by_one.said, at_once.said) == 0,
                   "'%s' and behind it '%s':\n  one by one  %s\n  at once     %s", requests[i].text,
                   requests[k].text, one_by_one.said, at_once.said);
        }
    }
    printf("  %u pairs\n", pair);
    client_close(&one_by_one.client);
    client_close(&at_once.client);
    server_stop(&one_by_one.server);
    server_stop(&at_once.server);
}

static void with_one_thread(void)
{
    all_pairs("1");
}

static void with_several_threads(void)
{
    all_pairs("4");
}

/* A verb that is new in the table of commands needs its pairs. */
static void every_verb_has_pairs(void)
{
    char verb[LINE_MAX_BYTES];
    server_start(&one_by_one.server, NULL);
    client_open(&one_by_one.client, &one_by_one.server);
    const struct reply *help = client_get(&one_by_one.client, "HELP");
    EXPECT(help->row_count > 0, "'%s'", help->line);
    for (size_t i = 0; i < help->row_count; i++) {
        size_t k = 0;
        EXPECT(line_word(help->rows[i], 0, verb, sizeof(verb)), "'%s'", help->rows[i]);
        while (k < COUNT_OF(requests) && strcmp(requests[k].verb, verb) != 0) {
            k++;
        }
        EXPECT(k < COUNT_OF(requests), "add requests with %s to this test", verb);
    }
    client_close(&one_by_one.client);
    server_stop(&one_by_one.server);
}

static const struct check_test tests[] = {
    {"Each verb of HELP stands in the pairs", every_verb_has_pairs},
    {"Each pair of requests is answered at once as one by one, by one thread", with_one_thread},
    {"Each pair of requests is answered at once as one by one, by four threads",
     with_several_threads},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
