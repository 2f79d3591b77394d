/* beanstalkd: put, reserve-with-timeout 1, delete. It has no votes. */
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "bench/proto.h"

static bool begins(const char *line, size_t len, const char *word)
{
    size_t word_len = strlen(word);

    return len >= word_len && memcmp(line, word, word_len) == 0;
}

static ssize_t beanstalk_parse(const char *p, const char *end, struct proto_reply *reply)
{
    const char *lf = memchr(p, '\n', (size_t)(end - p));

    if (lf == NULL) {
        return 0;
    }
    size_t line_len = (size_t)(lf - p) - (lf > p && lf[-1] == '\r');
    const char *next = lf + 1;

    reply->bytes = p;
    reply->line_len = line_len;
    reply->kind = REPLY_ERR;
    if (begins(p, line_len, "INSERTED ") || begins(p, line_len, "DELETED")) {
        reply->kind = REPLY_OK;
    } else if (begins(p, line_len, "TIMED_OUT") || begins(p, line_len, "DEADLINE_SOON")) {
        reply->kind = REPLY_NIL;
    } else if (begins(p, line_len, "RESERVED ")) {
        const char *bytes = memrchr(p, ' ', line_len);
        long payload = strtol(bytes + 1, NULL, 10);

        if (payload < 0 || bytes == p + strlen("RESERVED")) {
            return -1;
        }
        if (end - next < payload + 2) {
            return 0;
        }
        next += payload + 2;
        reply->kind = REPLY_OK;
    }
    reply->len = (size_t)(next - p);
    return next - p;
}

/* Nothing to prepare: the default tube exists from the start. */
static void beanstalk_prepare(struct stage *stage, int fd)
{
    (void)stage;
    (void)fd;
}

static bool beanstalk_add_verb(struct text *t, const struct stage *stage, enum verb verb,
                               uint64_t id)
{
    (void)t;
    (void)stage;
    (void)verb;
    (void)id;
    return false;
}

static void beanstalk_add_give(struct text *t, const struct stage *stage)
{
    text_add_string(t, "put 5 0 60 ");
    text_add_number(t, stage->options->payload_bytes);
    text_add_string(t, "\r\n");
    text_add(t, stage->payload, stage->options->payload_bytes);
    text_add_string(t, "\r\n");
}

static void beanstalk_add_take(struct text *t, const struct stage *stage, unsigned index)
{
    (void)stage;
    (void)index;
    text_add_string(t, "reserve-with-timeout 1\r\n");
}

static void beanstalk_add_finish(struct text *t, const struct stage *stage,
                                 const struct proto_reply *taken)
{
    const char *id = taken->bytes + strlen("RESERVED ");
    const char *stop = memchr(id, ' ', taken->line_len - strlen("RESERVED "));

    (void)stage;
    if (stop == NULL) {
        errx(EX_PROTOCOL, "reserve was answered without an id");
    }
    text_add_string(t, "delete ");
    text_add(t, id, (size_t)(stop - id));
    text_add_string(t, "\r\n");
}

const struct proto proto_beanstalk = {
    .name = "beanstalk",
    .parse = beanstalk_parse,
    .prepare = beanstalk_prepare,
    .add_verb = beanstalk_add_verb,
    .add_give = beanstalk_add_give,
    .add_take = beanstalk_add_take,
    .add_finish = beanstalk_add_finish,
    .requests_to_finish = 1,
};
