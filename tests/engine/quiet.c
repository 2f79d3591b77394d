/* A quiet engine: parked requests are asked again although no other thread causes a commit. */
#include "tests/engine/handle.h"

#include <stdio.h>

enum { THREADS = 3, ROUNDS = 200000 };

struct asker {
    struct tally *tally;
    pthread_barrier_t *start;
    pthread_t thread;
    uint64_t parked;
};

/*
 * All threads share a worker of one slot, and the queue is empty. Each claim takes the slot for a
 * moment; a claim that comes in that moment finds the slot taken, but no build to be told again.
 */
static void *ask_main(void *arg)
{
    struct asker *asker = arg;
    struct handle handle;
    struct edge_claimed got;
    struct edge_claim ask = {.worker = SPAN("shared"), .queues = {SPAN("empty")}, .queue_count = 1};
    handle_open(&handle, asker->tally);
    pthread_barrier_wait(asker->start);
    for (int i = 0; i < ROUNDS; i++) {
        int err = edge_claim(handle.edge, &ask, &got);
        while (handle_again(&handle, err)) {
            asker->parked++;
            err = edge_claim(handle.edge, &ask, &got);
        }
        EXPECT(err == EDGE_NIL, "a claim from an empty queue: %s", tally_err_name(err));
    }
    handle_close(&handle);
    return NULL;
}

static void two_claims_for_one_slot(struct tally *tally)
{
    struct asker askers[THREADS];
    pthread_barrier_t start;
    uint64_t parked = 0;
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){.tally = tally, .start = &start};
        EXPECT(pthread_create(&askers[i].thread, NULL, ask_main, &askers[i]) == 0, "thread");
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(askers[i].thread, NULL);
        parked += askers[i].parked;
    }
    pthread_barrier_destroy(&start);
    printf("%d claims for one slot, %lu times parked\n", THREADS * ROUNDS, (unsigned long)parked);
}

/* Sets a closing time in the past, and waits until the poll is closed. */
static void *close_main(void *arg)
{
    struct asker *asker = arg;
    struct handle handle;
    handle_open(&handle, asker->tally);
    struct edge_poll ask = {SPAN("ends"), EDGE_KEEP, 1, EDGE_KEEP, EDGE_KEEP, EDGE_KEEP};
    int err = handle_result(&handle, edge_poll(handle.edge, &ask), NULL);
    EXPECT(err == 0, "poll: %s", tally_err_name(err));
    for (bool open = true; open;) {
        struct read_polls r;
        read_polls_init(&r, (struct span){NULL, 0}, 1);
        err = handle_read(&handle, &r.read);
        EXPECT(err == 0 && r.row_count == 1, "POLLS: %s", tally_err_name(err));
        open = r.rows[0].open;
        read_polls_fini(&r);
        if (open) {
            handle_wait(&handle);
        }
    }
    handle_close(&handle);
    return NULL;
}

/* A poll closes although a thread with a session does nothing: the thread is offline for RCU. */
static void a_poll_closes_beside_an_idle_session(struct tally *tally)
{
    struct session *idle = NULL;
    uint64_t votes = 0;
    EXPECT(tally_session_new(&idle, tally) == 0, "session");
    EXPECT(tally_poll(idle, "ends") == 0, "poll");
    uint64_t option = 0;
    EXPECT(tally_option(idle, "ends", "yes", &option) == 0, "option");
    EXPECT(tally_vote(idle, option, 1, &votes) == 0, "vote");
    struct asker asker = {.tally = tally};
    EXPECT(pthread_create(&asker.thread, NULL, close_main, &asker) == 0, "thread");
    pthread_join(asker.thread, NULL);
    EXPECT(tally_vote(idle, option, 1, &votes) == TALLY_CLOSED, "a vote in a closed poll");
    tally_session_destroy(idle);
}

int main(void)
{
    char dir[256];
    files_temp_dir(dir, sizeof(dir));
    struct tally *tally = handle_engine(dir, THREADS + 1);
    struct handle handle;
    handle_open(&handle, tally);
    handle_worker(&handle, "shared", 1);
    handle_close(&handle);
    two_claims_for_one_slot(tally);
    a_poll_closes_beside_an_idle_session(tally);
    EXPECT(tally_close(tally) == 0, "close");
    files_remove_tree(dir);
    return 0;
}
