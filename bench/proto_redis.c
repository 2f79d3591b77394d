/* Redis: INCR for a vote; SADD and INCR for that of a voter, who is held to be new; a stream with
 * one consumer group for builds. Requests are RESP arrays. */
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "bench/ask.h"
#include "bench/proto.h"

/* Steps over one value, an array with all its elements. Returns its end; NULL: not all there. */
static const char *value_end(const char *p, const char *end)
{
    long values = 1;

    while (values > 0) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        long number = 0;

        if (lf == NULL) {
            return NULL;
        }
        for (const char *d = p + 1; d < lf && *d >= '0' && *d <= '9'; d++) {
            number = number * 10 + (*d - '0');
        }
        bool none = p[1] == '-';
        bool array = *p == '*';
        bool bulk = *p == '$' && !none;

        p = lf + 1;
        if (array) {
            values += number;
        } else if (bulk) {
            if (end - p < number + 2) {
                return NULL;
            }
            p += number + 2;
        }
        values--;
    }
    return p;
}

static ssize_t redis_parse(const char *p, const char *end, struct proto_reply *reply)
{
    const char *lf = memchr(p, '\n', (size_t)(end - p));

    if (lf == NULL) {
        return 0;
    }
    const char *next = lf + 1;

    reply->kind = REPLY_OK;
    reply->bytes = p;
    reply->line_len = (size_t)(lf - p) - 1;
    if (*p == '-') {
        reply->kind = REPLY_ERR;
    } else if ((*p == '*' || *p == '$') && p[1] == '-') {
        reply->kind = REPLY_NIL;
    } else if (*p == '*' || *p == '$') {
        next = value_end(p, end);
    } else if (*p != ':' && *p != '+') {
        return -1;
    }
    if (next == NULL) {
        return 0;
    }
    reply->len = (size_t)(next - p);
    return next - p;
}

static void redis_prepare(struct stage *stage, int fd)
{
    static const char *const group[] = {"XGROUP", "CREATE", "bench", "farm", "$", "MKSTREAM"};
    struct text request = {0};

    for (uint64_t i = 0; i < stage->options->ids; i++) {
        stage->id[i] = i + 1;
    }
    if (stage->options->cycle) {
        text_add_command(&request, sizeof group / sizeof *group, group);
        ask_one(fd, &proto_redis, &request, "-BUSYGROUP");
        text_fini(&request);
    }
}

static bool redis_add_verb(struct text *t, const struct stage *stage, enum verb verb, uint64_t id)
{
    char key[32];

    (void)stage;
    if (verb == VERB_TALLY) {
        return false;
    }
    if (verb == VERB_PING) {
        text_add_command(t, 1, (const char *const[]){"PING"});
    } else {
        snprintf(key, sizeof key, "opt:%llu", (unsigned long long)id);
        text_add_command(t, 2, (const char *const[]){"INCR", key});
    }
    return true;
}

/* Both in one pipeline: a client that looked at the reply to SADD first would need two rounds. */
static void redis_add_ballot(struct text *t, const struct stage *stage, uint64_t id,
                             const char *voter)
{
    char key[32];

    snprintf(key, sizeof key, "opt:%llu", (unsigned long long)id);
    text_add_command(t, 3, (const char *const[]){"SADD", stage->name, voter});
    text_add_command(t, 2, (const char *const[]){"INCR", key});
}

static void redis_add_give(struct text *t, const struct stage *stage)
{
    text_add_string(t, "*5\r\n$4\r\nXADD\r\n$5\r\nbench\r\n$1\r\n*\r\n$1\r\np\r\n");
    text_add_bulk(t, stage->payload, stage->options->payload_bytes);
}

static void redis_add_take(struct text *t, const struct stage *stage, unsigned index)
{
    char worker[32];

    (void)stage;
    snprintf(worker, sizeof worker, "w%u", index);
    text_add_command(t, 9,
                     (const char *const[]){"XREADGROUP", "GROUP", "farm", worker, "COUNT", "1",
                                           "STREAMS", "bench", ">"});
}

/* From *1 *2 $5 bench *1 *2 $n id ...: the bulk string of the id stands behind six lines. */
static void redis_add_finish(struct text *t, const struct stage *stage,
                             const struct proto_reply *taken)
{
    const char *end = taken->bytes + taken->len;
    const char *id = taken->bytes;

    (void)stage;
    for (int line = 0; line < 6 && id != NULL && id < end; line++) {
        id = memchr(id, '\n', (size_t)(end - id));
        id = id != NULL ? id + 1 : NULL;
    }
    const char *stop = id != NULL && id < end && *id == '$' ? value_end(id, end) : NULL;
    if (stop == NULL) {
        errx(EX_PROTOCOL, "XREADGROUP was answered without an id");
    }
    text_add_string(t, "*4\r\n$4\r\nXACK\r\n$5\r\nbench\r\n$4\r\nfarm\r\n");
    text_add(t, id, (size_t)(stop - id));
    text_add_string(t, "*3\r\n$4\r\nXDEL\r\n$5\r\nbench\r\n");
    text_add(t, id, (size_t)(stop - id));
}

const struct proto proto_redis = {
    .name = "resp",
    .parse = redis_parse,
    .prepare = redis_prepare,
    .add_verb = redis_add_verb,
    .add_ballot = redis_add_ballot,
    .requests_of_ballot = 2,
    .add_give = redis_add_give,
    .add_take = redis_add_take,
    .add_finish = redis_add_finish,
    .requests_to_finish = 2,
};
