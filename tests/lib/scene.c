/* The usual requests of a test. */
#include "tests/lib/scene.h"

#include "tests/lib/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void scene_poll(struct client *client, const char *poll)
{
    client_expect(client, "OK", "POLL %s", poll);
}

uint64_t scene_option(struct client *client, const char *poll, const char *label)
{
    const struct reply *reply = client_get(client, "OPTION %s %s", poll, label);
    uint64_t id = line_number(reply->line, 1);
    EXPECT(reply_is_ok(reply) && id != UINT64_MAX, "OPTION %s %s gave '%s'", poll, label,
           reply->line);
    return id;
}

uint64_t scene_info(struct client *client, const char *key)
{
    const struct reply *reply = client_get(client, "INFO");
    for (size_t i = 0; i < reply->row_count; i++) {
        uint64_t number = line_field_number(reply->rows[i], key);
        if (number != UINT64_MAX) {
            return number;
        }
    }
    EXPECT(false, "INFO has no %s", key);
    return 0;
}

uint64_t scene_total(struct client *client, const char *poll)
{
    const struct reply *reply = client_get(client, "TALLY %s", poll);
    EXPECT(reply->row_count > 0, "TALLY %s gave '%s'", poll, reply->line);
    uint64_t total = line_field_number(reply->rows[0], "total");
    EXPECT(total != UINT64_MAX, "TALLY %s starts with '%s'", poll, reply->rows[0]);
    return total;
}

uint64_t scene_votes(struct client *client, const char *poll, uint64_t option)
{
    const struct reply *reply = client_get(client, "TALLY %s", poll);
    uint64_t votes = UINT64_MAX;
    for (size_t i = 1; i < reply->row_count; i++) {
        if (line_number(reply->rows[i], 0) == option) {
            EXPECT(votes == UINT64_MAX, "option %" PRIu64 " stands twice in TALLY %s", option,
                   poll);
            votes = line_number(reply->rows[i], 1);
        }
    }
    EXPECT(votes != UINT64_MAX, "option %" PRIu64 " is not in TALLY %s", option, poll);
    return votes;
}

void scene_vote_times(struct client *client, uint64_t option, uint64_t before, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        EXPECT(client_send(client, "VOTE %" PRIu64, option), "the server closed the connection");
    }
    for (size_t i = 1; i <= count; i++) {
        const struct reply *reply = client_next(client);
        EXPECT(line_number(reply->line, 1) == before + i, "vote %zu gave '%s'", i, reply->line);
    }
}

void scene_worker(struct client *client, const char *worker)
{
    const struct reply *reply = client_get(client, "WORKER %s", worker);
    EXPECT(reply_is(reply, "OK new") || reply_is(reply, "OK again"), "WORKER %s gave '%s'", worker,
           reply->line);
}

uint64_t scene_submit(struct client *client, const char *queue, const char *words,
                      const char *payload)
{
    const struct reply *reply =
        client_get(client, "SUBMIT %s %s%s%s", queue, words, words[0] != '\0' ? " " : "", payload);
    uint64_t id = line_number(reply->line, 1);
    EXPECT(reply_is_ok(reply) && id != UINT64_MAX, "SUBMIT %s %s gave '%s'", queue, words,
           reply->line);
    return id;
}

bool claim_parse(struct claim *claim, const struct reply *reply)
{
    if (!reply_is_ok(reply) || reply->blob == NULL) {
        return false;
    }
    claim->id = line_number(reply->line, 1);
    claim->token = line_number(reply->line, 2);
    claim->attempt = line_number(reply->line, 4);
    claim->lease_ms = line_number(reply->line, 5);
    claim->again = line_field_number(reply->line, "again") == 1;
    claim->payload = reply->blob;
    claim->payload_bytes = reply->blob_bytes;
    return line_word(reply->line, 3, claim->queue, sizeof(claim->queue)) &&
           claim->id != UINT64_MAX && claim->token != UINT64_MAX && claim->attempt != UINT64_MAX &&
           claim->lease_ms != UINT64_MAX;
}

void scene_claim(struct claim *claim, struct client *client, const char *worker, const char *queue)
{
    const struct reply *reply = client_get(client, "CLAIM %s %s", worker, queue);
    EXPECT(claim_parse(claim, reply), "CLAIM %s %s gave '%s'", worker, queue, reply->line);
    EXPECT(strcmp(claim->queue, queue) == 0, "a build of queue %s", claim->queue);
}

void scene_claim_nil(struct client *client, const char *worker, const char *queue)
{
    client_expect(client, "NIL", "CLAIM %s %s", worker, queue);
}

bool scene_build_has(struct client *client, uint64_t build, const char *key, const char *value)
{
    char word[256] = "";
    const struct reply *reply = client_get(client, "BUILD %" PRIu64, build);
    bool has = line_field(reply->line, key, word, sizeof(word)) && strcmp(word, value) == 0;
    if (!has) {
        printf("  BUILD %" PRIu64 " gave '%s'\n", build, reply->line);
    }
    return has;
}
