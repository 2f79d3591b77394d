/* Votes, EVENTS and snapshots at once: each thread hears its own votes, each once and in order,
 * while others vote; and hears the last ones again after a start from a snapshot. */
#include "tests/engine/handle.h"
#include "tests/lib/seed.h"

#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 3, ROUNDS = 60, BATCH = 40, COUNT = 1000, N_MAX = 3, HEARD = 10 };

struct hearer {
    struct tally *tally;
    pthread_barrier_t *start;
    pthread_t thread;
    unsigned number;
    uint64_t option;
    uint64_t cast; /* votes */
    uint64_t heard;
    uint64_t from; /* the lsn behind the last one that was heard */
};

static void vote(struct hearer *h, struct handle *handle, uint32_t n)
{
    struct edge_vote cast;
    int err;
    HANDLE_ASK(err, handle, edge_vote(handle->edge, h->option, n, &cast));
    EXPECT(err == 0, "VOTE: %s", tally_err_name(err));
    edge_flush(handle->edge);
    h->cast += n;
}

/* Asks for events, all polls, from h->from on. Returns how many there were. */
static size_t listen(struct hearer *h, struct handle *handle)
{
    struct read_events r;
    read_events_init(&r, COUNT);
    r.from = h->from;
    int err = handle_read(handle, &r.read);
    EXPECT(err == 0, "EVENTS FROM %lu: %s, oldest %lu", (unsigned long)h->from, tally_err_name(err),
           (unsigned long)r.oldest);
    for (size_t i = 0; i < r.row_count; i++) {
        const struct event *event = &r.rows[i].event;
        EXPECT(event->lsn >= h->from, "lsn %lu behind %lu", (unsigned long)event->lsn,
               (unsigned long)h->from);
        h->from = event->lsn + 1;
        if (event->type == RECORD_VOTE && event->num[EVENT_OPTION] == h->option) {
            EXPECT(event->num[EVENT_VOTES] == h->heard + event->num[EVENT_N],
                   "after %lu votes came %lu, %lu of them new", (unsigned long)h->heard,
                   (unsigned long)event->num[EVENT_VOTES], (unsigned long)event->num[EVENT_N]);
            h->heard = event->num[EVENT_VOTES];
        }
    }
    size_t count = r.row_count;
    read_events_fini(&r);
    return count;
}

/* The newest events of the own poll end with the own last vote. */
static void expect_last(const struct hearer *h, struct handle *handle)
{
    char poll[16];
    struct read_events r;
    snprintf(poll, sizeof poll, "p%u", h->number);
    struct event_match match = {.of = EVENT_OF_POLL, .name = span_of(poll)};
    read_events_init(&r, HEARD);
    r.matches = &match;
    r.match_count = 1;
    EXPECT(handle_read(handle, &r.read) == 0, "EVENTS MATCH");
    EXPECT(r.row_count == HEARD, "%zu events", r.row_count);
    uint64_t votes = h->cast;
    for (size_t i = r.row_count; i-- > 0;) {
        const struct event *event = &r.rows[i].event;
        EXPECT(event->num[EVENT_OPTION] == h->option && event->num[EVENT_VOTES] == votes,
               "option %lu has %lu votes, not %lu", (unsigned long)event->num[EVENT_OPTION],
               (unsigned long)event->num[EVENT_VOTES], (unsigned long)votes);
        votes -= event->num[EVENT_N];
    }
    read_events_fini(&r);
}

static void save(struct handle *handle)
{
    uint64_t ticket = 0;
    struct edge_snapshot done;
    int err;
    HANDLE_ASK(err, handle, edge_snapshot(handle->edge, &ticket, &done));
    EXPECT(err == 0, "SNAPSHOT: %s", tally_err_name(err));
}

static void *hear_main(void *arg)
{
    struct hearer *h = arg;
    struct seed seed = {h->number + 1};
    struct handle handle;
    handle_open(&handle, h->tally);
    pthread_barrier_wait(h->start);
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned k = 0; k < BATCH; k++) {
            vote(h, &handle, 1 + (uint32_t)seed_below(&seed, N_MAX));
        }
        handle_settle(&handle);
        expect_last(h, &handle);
        while (listen(h, &handle) == COUNT) {
        }
        EXPECT(h->heard == h->cast, "%lu of %lu votes are heard", (unsigned long)h->heard,
               (unsigned long)h->cast);
        if (h->number == 0 && i % 8 == 7) {
            save(&handle);
        }
    }
    handle_close(&handle);
    return NULL;
}

static void run(struct tally *tally, struct hearer *hearers)
{
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        hearers[i].tally = tally;
        hearers[i].start = &start;
        EXPECT(pthread_create(&hearers[i].thread, NULL, hear_main, &hearers[i]) == 0, "thread");
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(hearers[i].thread, NULL);
    }
    pthread_barrier_destroy(&start);
}

int main(void)
{
    static struct hearer hearers[THREADS];
    char dir[256];
    files_temp_dir(dir, sizeof dir);
    struct tally *tally = handle_engine(dir, THREADS + 1);
    struct handle handle;
    handle_open(&handle, tally);
    for (unsigned i = 0; i < THREADS; i++) {
        char poll[16];
        snprintf(poll, sizeof poll, "p%u", i);
        handle_poll(&handle, poll);
        hearers[i] =
            (struct hearer){.number = i, .option = handle_option(&handle, poll, "A"), .from = 1};
    }
    handle_close(&handle);
    run(tally, hearers);
    EXPECT(tally_close(tally) == 0, "close");
    tally = handle_engine(dir, 1);
    handle_open(&handle, tally);
    for (unsigned i = 0; i < THREADS; i++) {
        expect_last(&hearers[i], &handle);
    }
    handle_close(&handle);
    EXPECT(tally_close(tally) == 0, "close");
    files_remove_tree(dir);
    printf("%lu votes were heard\n", (unsigned long)(hearers[0].cast + hearers[1].cast));
    return 0;
}
