/* An engine with one edge. */
#include "tests/engine/one.h"

#include <criterion/criterion.h>

static char dir[256];
struct tally *tally;
struct handle handle;

void begin(void)
{
    files_temp_dir(dir, sizeof(dir));
    tally = handle_engine(dir, 2);
    handle_open(&handle, tally);
}

static void close_all(void)
{
    handle_close(&handle);
    cr_assert_eq(tally_close(tally), 0);
}

void end(void)
{
    close_all();
    files_remove_tree(dir);
}

void restart(void)
{
    close_all();
    tally = handle_engine(dir, 2);
    handle_open(&handle, tally);
}

uint64_t submit(struct edge_submit ask)
{
    uint64_t id = 0;
    ask.queue = ask.queue.at != NULL ? ask.queue : SPAN("q");
    ask.payload = SPAN("make");
    ask.lease_ms = ask.lease_ms != 0 ? ask.lease_ms : 60000;
    ask.tries = ask.tries != 0 ? ask.tries : 3;
    cr_assert_eq(handle_result(&handle, edge_submit(handle.edge, &ask), &id), 0);
    return id;
}

int try_claim(struct edge_claimed *got)
{
    struct edge_claim ask = {.worker = SPAN("w"), .queues = {SPAN("q")}, .queue_count = 1};
    int err = edge_claim(handle.edge, &ask, got);
    while (handle_again(&handle, err)) {
        err = edge_claim(handle.edge, &ask, got);
    }
    handle_settle(&handle);
    return err;
}

uint32_t claim(uint64_t id)
{
    struct edge_claimed got;
    int err = try_claim(&got);
    cr_assert_eq(err, 0, "claim: %s", tally_err_name(err));
    cr_assert_eq(got.id, id, "build %lu came instead of %lu", (unsigned long)got.id,
                 (unsigned long)id);
    cr_assert(!got.again);
    return got.token;
}

int done(uint64_t id, uint32_t token)
{
    int err = edge_done(handle.edge, id, token, SPAN("fine"));
    while (handle_again(&handle, err)) {
        err = edge_done(handle.edge, id, token, SPAN("fine"));
    }
    handle_settle(&handle);
    return err;
}

int release(uint64_t id, uint32_t token, uint32_t delay_ms)
{
    int err = edge_release(handle.edge, id, token, delay_ms);
    while (handle_again(&handle, err)) {
        err = edge_release(handle.edge, id, token, delay_ms);
    }
    handle_settle(&handle);
    return err;
}

int fail(uint64_t id, uint32_t token, struct edge_failed *how)
{
    struct edge_fail ask = {.id = id, .token = token, .text = SPAN("broken")};
    int err = edge_fail(handle.edge, &ask, how);
    while (handle_again(&handle, err)) {
        err = edge_fail(handle.edge, &ask, how);
    }
    handle_settle(&handle);
    return err;
}

struct build_row build_of(uint64_t id)
{
    struct read_builds r;
    read_builds_init(&r);
    r.id = id;
    cr_assert_eq(handle_read(&handle, &r.read), 0);
    struct build_row row = r.rows[0];
    read_builds_fini(&r);
    row.error.at = NULL;
    return row;
}

void wait_for(uint64_t id, enum build_state state)
{
    while (build_of(id).state != state) {
        handle_wait(&handle);
    }
}
