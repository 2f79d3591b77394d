/* tally's own line dialect: VOTE PING TALLY, VOTE VOTER, and SUBMIT, CLAIM, DONE for builds. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "bench/ask.h"
#include "bench/proto.h"

/* Returns the number at the end of [from, to) if the mark stands before it, else -1. Most lines end
 * in a plain number, so this looks back over a few digits only. */
static ssize_t marked_number(const char *from, const char *to, char mark)
{
    ssize_t number = 0;
    ssize_t unit = 1;
    const char *p = to;

    while (p > from && p[-1] >= '0' && p[-1] <= '9' && unit < 1000000000) {
        number += (*--p - '0') * unit;
        unit *= 10;
    }
    return p > from && p < to && p[-1] == mark ? number : -1;
}

/* `OK *N`: N more lines. */
static const char *after_lines(const char *p, const char *end, ssize_t lines)
{
    for (ssize_t i = 0; i < lines && p != NULL; i++) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        p = lf != NULL ? lf + 1 : NULL;
    }
    return p;
}

static ssize_t line_parse(const char *p, const char *end, struct proto_reply *reply)
{
    const char *lf = memchr(p, '\n', (size_t)(end - p));

    if (lf == NULL) {
        return 0;
    }
    const char *stop = lf > p && lf[-1] == '\r' ? lf - 1 : lf;
    const char *next = lf + 1;

    reply->bytes = p;
    reply->line_len = (size_t)(stop - p);
    if (*p == 'O') {
        reply->kind = REPLY_OK;
        if (stop - p > 3 && p[3] == '*') {
            next = after_lines(next, end, marked_number(p + 3, stop, '*'));
        } else {
            ssize_t blob = marked_number(p, stop, '$');
            if (blob >= 0) {
                next = end - next >= blob + 2 ? next + blob + 2 : NULL;
            }
        }
        if (next == NULL) {
            return 0;
        }
    } else if (*p == 'E') {
        reply->kind = REPLY_ERR;
    } else if (*p == 'N') {
        reply->kind = REPLY_NIL;
    } else {
        return -1;
    }
    reply->len = (size_t)(next - p);
    return next - p;
}

static void add_option(struct text *t, uint64_t i, void *arg)
{
    const struct stage *stage = arg;

    text_add_string(t, "OPTION ");
    text_add_string(t, stage->name);
    text_add_string(t, " option-");
    text_add_number(t, i + 1);
    text_add_string(t, "\n");
}

static void heard_option(const struct proto_reply *reply, uint64_t i, void *arg)
{
    struct stage *stage = arg;

    ask_must(reply, NULL);
    if (reply->line_len < 4) {
        errx(EX_PROTOCOL, "OPTION was answered without an id");
    }
    stage->id[i] = strtoull(reply->bytes + 3, NULL, 10);
}

/* Votes that differ, so that a TALLY has something to sort and to divide. */
static void add_first_votes(struct text *t, uint64_t i, void *arg)
{
    const struct stage *stage = arg;

    text_add_string(t, "VOTE ");
    text_add_number(t, stage->id[i]);
    text_add_string(t, " N ");
    text_add_number(t, i * 7919 % 1000 + 1);
    text_add_string(t, "\n");
}

static void heard_first_votes(const struct proto_reply *reply, uint64_t i, void *arg)
{
    (void)i;
    (void)arg;
    ask_must(reply, NULL);
}

static void line_prepare(struct stage *stage, int fd)
{
    struct text poll = {0};

    if (stage->options->cycle) {
        return;
    }
    text_add_string(&poll, "POLL ");
    text_add_string(&poll, stage->name);
    text_add_string(&poll, stage->options->ballots ? " MODE once\n" : "\n");
    ask_one(fd, &proto_line, &poll, NULL);
    text_fini(&poll);

    struct questions options = {.fd = fd,
                                .proto = &proto_line,
                                .count = stage->options->ids,
                                .add = add_option,
                                .heard = heard_option,
                                .arg = stage};
    ask_all(&options);
    if (stage->options->weight[VERB_TALLY] > 0) {
        options.add = add_first_votes;
        options.heard = heard_first_votes;
        ask_all(&options);
    }
}

static void authenticate(int fd, const char *file)
{
    struct text request = {0};
    char key[512];

    FILE *f = fopen(file, "re");
    if (f == NULL || fgets(key, sizeof key, f) == NULL) {
        err(EX_NOINPUT, "%s", file);
    }
    fclose(f);
    key[strcspn(key, "\r\n")] = '\0';
    text_add_string(&request, "AUTH ");
    text_add_string(&request, key);
    text_add_string(&request, "\n");
    ask_one(fd, &proto_line, &request, NULL);
    explicit_bzero(key, sizeof key);
    text_fini(&request);
}

static void add_worker(struct text *t, const struct stage *stage, unsigned index)
{
    text_add_string(t, stage->name);
    text_add_string(t, "-");
    text_add_number(t, index);
}

/* A worker with as many slots as it has claims in flight, or it would be told `again=1`. */
static void line_join(const struct stage *stage, int fd, unsigned index)
{
    struct text request = {0};

    if (stage->options->api_key_file != NULL) {
        authenticate(fd, stage->options->api_key_file);
    }
    if (stage->options->cycle) {
        text_add_string(&request, "WORKER ");
        add_worker(&request, stage, index);
        text_add_string(&request, " SLOTS ");
        text_add_number(&request, stage->options->depth);
        text_add_string(&request, "\n");
        ask_one(fd, &proto_line, &request, NULL);
        text_fini(&request);
    }
}

static void line_leave(const struct stage *stage, int fd, unsigned index)
{
    struct text request = {0};

    if (stage->options->cycle) {
        text_add_string(&request, "BYE ");
        add_worker(&request, stage, index);
        text_add_string(&request, "\n");
        ask_one(fd, &proto_line, &request, NULL);
        text_fini(&request);
    }
}

static bool line_add_verb(struct text *t, const struct stage *stage, enum verb verb, uint64_t id)
{
    if (verb == VERB_VOTE) {
        text_add_string(t, "VOTE ");
        text_add_number(t, id);
    } else if (verb == VERB_PING) {
        text_add_string(t, "PING");
    } else {
        text_add_string(t, "TALLY ");
        text_add_string(t, stage->name);
        if (stage->options->top > 0) {
            text_add_string(t, " TOP ");
            text_add_number(t, stage->options->top);
        }
    }
    text_add_string(t, "\n");
    return true;
}

static void line_add_ballot(struct text *t, const struct stage *stage, uint64_t id,
                            const char *voter)
{
    (void)stage;
    text_add_string(t, "VOTE ");
    text_add_number(t, id);
    text_add_string(t, " VOTER ");
    text_add_string(t, voter);
    text_add_string(t, "\n");
}

static void line_add_give(struct text *t, const struct stage *stage)
{
    text_add_string(t, "SUBMIT bench $");
    text_add_number(t, stage->options->payload_bytes);
    text_add_string(t, "\n");
    text_add(t, stage->payload, stage->options->payload_bytes);
    text_add_string(t, "\n");
}

static void line_add_take(struct text *t, const struct stage *stage, unsigned index)
{
    text_add_string(t, "CLAIM ");
    add_worker(t, stage, index);
    text_add_string(t, " bench\n");
}

/* From `OK id token queue ...`: `DONE id token`. */
static void line_add_finish(struct text *t, const struct stage *stage,
                            const struct proto_reply *taken)
{
    const char *id = taken->bytes + 3;
    const char *end = taken->bytes + taken->line_len;
    const char *token = memchr(id, ' ', (size_t)(end - id));
    const char *stop = token != NULL ? memchr(token + 1, ' ', (size_t)(end - token - 1)) : NULL;

    (void)stage;
    if (stop == NULL) {
        errx(EX_PROTOCOL, "CLAIM was answered without id and token");
    }
    text_add_string(t, "DONE ");
    text_add(t, id, (size_t)(stop - id));
    text_add_string(t, "\n");
}

const struct proto proto_line = {
    .name = "line",
    .parse = line_parse,
    .prepare = line_prepare,
    .join = line_join,
    .leave = line_leave,
    .add_verb = line_add_verb,
    .add_ballot = line_add_ballot,
    .requests_of_ballot = 1,
    .add_give = line_add_give,
    .add_take = line_add_take,
    .add_finish = line_add_finish,
    .requests_to_finish = 1,
};
