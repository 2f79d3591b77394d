/* The torture's voters, visitors, creators and readers. */
#include "tests/engine/torture.h"

#include <stdio.h>
#include <stdlib.h>

enum { VOTES_A_PASS = 8, IN_FLIGHT_MAX = 2000 };

void actor_told(struct actor *actor, unsigned option, uint64_t after, uint32_t n)
{
    struct told_list *list = &actor->told;
    if (list->count == list->room) {
        list->room = list->room * 2 + 1024;
        list->at = realloc(list->at, list->room * sizeof(struct told));
        EXPECT(list->at != NULL, "out of memory");
    }
    list->at[list->count++] = (struct told){after, n, option};
}

/* Makes one pass: some votes, one flush, and notes the reply to each. */
static void vote_pass(struct actor *actor, struct handle *handle)
{
    struct edge_vote votes[VOTES_A_PASS];
    struct told told[VOTES_A_PASS];
    unsigned count = 1 + (unsigned)seed_below(&actor->seed, VOTES_A_PASS);
    for (unsigned i = 0; i < count; i++) {
        told[i].option = (uint32_t)seed_below(&actor->seed, HOT_OPTIONS);
        told[i].n = 1 + (uint32_t)seed_below(&actor->seed, 3);
        int err = edge_vote(handle->edge, actor->t->option[told[i].option], told[i].n, &votes[i]);
        if (err == TALLY_ROOM) {
            count = i;
            break;
        }
        EXPECT(err == 0, "vote: %s", tally_err_name(err));
    }
    edge_flush(handle->edge);
    for (unsigned i = 0; i < count; i++) {
        actor_told(actor, told[i].option, edge_votes_after(handle->edge, votes[i]), told[i].n);
    }
    edge_publish(handle->edge);
}

void actor_vote(struct actor *actor, struct handle *handle)
{
    while (torture_goes_on(actor->t)) {
        vote_pass(actor, handle);
        edge_free(handle->edge, edge_applied(handle->edge));
        edge_pass_end(handle->edge);
        edge_pass_begin(handle->edge);
        bool full = edge_tail(handle->edge) - edge_applied(handle->edge) > IN_FLIGHT_MAX;
        if (full || seed_below(&actor->seed, 20) == 0) {
            handle_settle(handle);
        }
    }
}

/* Opens a handle, votes once, and closes it, so that lanes change owners while the committer wakes
 * them. */
void actor_visit(struct actor *actor, struct handle *handle)
{
    (void)handle;
    while (torture_goes_on(actor->t)) {
        struct session *session = NULL;
        uint64_t after = 0;
        unsigned option = (unsigned)seed_below(&actor->seed, HOT_OPTIONS);
        int err = tally_session_new(&session, actor->t->tally);
        EXPECT(err == 0, "session: %s", tally_err_name(err));
        err = tally_vote(session, actor->t->option[option], 2, &after);
        EXPECT(err == 0, "vote of a session: %s", tally_err_name(err));
        tally_session_destroy(session);
        actor_told(actor, option, after, 2);
    }
}

/* Adds polls and options, so that arrays and indexes grow under the readers. */
void actor_create(struct actor *actor, struct handle *handle)
{
    char poll[32] = "cold";
    for (unsigned i = 0; torture_goes_on(actor->t); i++) {
        char label[32];
        uint64_t found = 0;
        if (i % 100 == 0) {
            snprintf(poll, sizeof(poll), "cold-%u", i);
            handle_poll(handle, poll);
        }
        snprintf(label, sizeof(label), "Option %u", i);
        uint64_t id = handle_option(handle, poll, label);
        int err = edge_option_find(handle->edge, span_of(poll), span_of(label), &found);
        EXPECT(err == 0 && found == id, "option %s is not found again", label);
        err = handle_result(
            handle, edge_option(handle->edge, span_of(poll), span_of(label), SPAN("")), &found);
        EXPECT(err == TALLY_EXISTS && found == id, "%s twice: %s", label, tally_err_name(err));
    }
}

struct last_seen {
    uint64_t lsn;
    uint64_t votes[HOT_OPTIONS + 1]; /* by id */
};

static void saw_lsn(struct last_seen *last, uint64_t lsn)
{
    EXPECT(lsn >= last->lsn, "a read went back from lsn %lu to %lu", (unsigned long)last->lsn,
           (unsigned long)lsn);
    last->lsn = lsn;
}

static void read_poll(struct handle *handle, struct last_seen *last)
{
    struct read_tally r;
    read_tally_init(&r, SPAN("hot"), SIZE_MAX);
    int err = handle_read(handle, &r.read);
    EXPECT(err == 0 && r.row_count == HOT_OPTIONS, "TALLY: %s", tally_err_name(err));
    saw_lsn(last, r.read.lsn);
    uint64_t sum = 0;
    for (size_t i = 0; i < r.row_count; i++) {
        const struct tally_row *row = &r.rows[i];
        sum += row->votes;
        EXPECT(i == 0 || r.rows[i - 1].votes >= row->votes, "TALLY is not sorted");
        EXPECT(row->votes >= last->votes[row->id], "the votes of option %lu went back",
               (unsigned long)row->id);
        last->votes[row->id] = row->votes;
    }
    EXPECT(sum == r.total, "TALLY: rows have %lu votes, total is %lu", (unsigned long)sum,
           (unsigned long)r.total);
    read_tally_fini(&r);
}

/* The builds of the list and the counts of the queue, each a consistent cut. */
static void read_queue(const struct actor *actor, struct handle *handle, struct last_seen *last)
{
    struct read_queues r;
    read_queues_init(&r, (struct span){NULL, 0});
    int err = handle_read(handle, &r.read);
    EXPECT(err == 0, "QUEUES: %s", tally_err_name(err));
    saw_lsn(last, r.read.lsn);
    uint64_t sum = 0;
    for (size_t i = 0; i < r.row_count; i++) {
        for (int state = 0; state < BUILD_STATES; state++) {
            sum += r.rows[i].by_state[state];
        }
    }
    /* a thread counts its submit only after it was applied */
    EXPECT(sum >= torture_get(&actor->t->done), "QUEUES: %lu builds, but %lu are done",
           (unsigned long)sum, (unsigned long)torture_get(&actor->t->done));
    read_queues_fini(&r);
}

static void read_builds(struct actor *actor, struct handle *handle, struct last_seen *last)
{
    struct read_builds r;
    read_builds_init(&r);
    r.reverse = seed_below(&actor->seed, 2) == 0;
    r.count = 50;
    r.state_mask = (uint32_t)seed_below(&actor->seed, 1 << BUILD_STATES);
    int err = handle_read(handle, &r.read);
    EXPECT(err == 0, "BUILDS: %s", tally_err_name(err));
    saw_lsn(last, r.read.lsn);
    for (size_t i = 0; i < r.row_count; i++) {
        struct parcel *parcel = NULL;
        EXPECT(r.state_mask == 0 || (r.state_mask >> r.rows[i].state & 1) != 0,
               "BUILDS: a state that was not asked for");
        EXPECT(edge_payload(handle->edge, r.rows[i].id, &parcel) == 0 &&
                   parcel_span(parcel).len > 0,
               "PAYLOAD of build %lu", (unsigned long)r.rows[i].id);
        parcel_release(parcel);
    }
    read_builds_fini(&r);
    struct read_workers w;
    read_workers_init(&w, (struct span){NULL, 0});
    err = handle_read(handle, &w.read);
    EXPECT(err == 0, "WORKERS: %s", tally_err_name(err));
    saw_lsn(last, w.read.lsn);
    for (size_t i = 0; i < w.row_count; i++) {
        EXPECT(w.rows[i].builds <= w.rows[i].slots, "a worker has more builds than slots");
    }
    read_workers_fini(&w);
}

void actor_read(struct actor *actor, struct handle *handle)
{
    struct last_seen last = {0};
    while (torture_goes_on(actor->t)) {
        read_poll(handle, &last);
        read_queue(actor, handle, &last);
        read_builds(actor, handle, &last);
        edge_pass_end(handle->edge);
        edge_pass_begin(handle->edge);
        torture_count(&actor->t->reads);
    }
}
