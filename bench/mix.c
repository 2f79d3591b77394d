/* The table of requests: it ends with a copy of its beginning, so every batch is one slice. */
#include "bench/mix.h"

#include <err.h>
#include <stdlib.h>
#include <sysexits.h>

#define REQUESTS_LEAST 8192u
#define REQUESTS_MOST  1048576u

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static enum verb pick_verb(const struct options *o, uint64_t dice)
{
    unsigned total = 0;

    for (int v = 0; v < VERB_COUNT; v++) {
        total += o->weight[v];
    }
    unsigned left = (unsigned)(dice % total);
    for (int v = 0; v < VERB_COUNT; v++) {
        if (left < o->weight[v]) {
            return (enum verb)v;
        }
        left -= o->weight[v];
    }
    return VERB_VOTE;
}

static size_t table_size(const struct options *o)
{
    size_t count = o->ids > REQUESTS_LEAST ? o->ids : REQUESTS_LEAST;

    if (count > REQUESTS_MOST) {
        count = REQUESTS_MOST;
    }
    return count > o->depth ? count : o->depth;
}

void mix_init(struct mix *m, const struct stage *stage)
{
    const struct options *o = stage->options;
    uint64_t random = 1;

    m->count = table_size(o);
    size_t all = m->count + o->depth;
    m->start = calloc(all + 1, sizeof *m->start);
    if (m->start == NULL) {
        errx(EX_OSERR, "out of memory");
    }
    for (size_t i = 0; i < m->count; i++) {
        enum verb verb = pick_verb(o, next_random(&random));
        uint64_t which = o->ids_in_turn ? i % o->ids : next_random(&random) % o->ids;

        m->start[i] = (uint32_t)m->text.len;
        if (!o->proto->add_verb(&m->text, stage, verb, stage->id[which])) {
            errx(EX_USAGE, "the dialect %s has no such verb", o->proto->name);
        }
    }
    size_t once = m->text.len;
    for (size_t i = m->count; i <= all; i++) {
        m->start[i] = (uint32_t)(m->start[i - m->count] + once);
    }
    text_reserve(&m->text, m->start[all] - once);
    text_add(&m->text, m->text.at, m->start[all] - once);
}

void mix_fini(struct mix *m)
{
    text_fini(&m->text);
    free(m->start);
}

const char *mix_next(const struct mix *m, size_t *position, unsigned requests, size_t *len_bytes)
{
    size_t first = *position;

    *position = (first + requests) % m->count;
    *len_bytes = m->start[first + requests] - m->start[first];
    return m->text.at + m->start[first];
}
