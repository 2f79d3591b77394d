/* An engine with one edge, for tests. */
#include "tests/engine/one.h"

#include <criterion/criterion.h>

static char dir[256];
static struct tally_options options;
struct tally *tally;
struct handle handle;

void one_start(void)
{
    tally = handle_engine_with(&options);
    handle_open(&handle, tally);
}

void one_stop(void)
{
    handle_close(&handle);
    EXPECT(tally_close(tally) == 0, "the end of the engine");
}

void one_begin_with(const struct tally_options *with)
{
    files_temp_dir(dir, sizeof(dir));
    options = *with;
    options.dir = dir;
    options.create = true;
    one_start();
}

void one_begin(void)
{
    one_begin_with(&(struct tally_options){.edges = 2});
}

void one_end(void)
{
    one_stop();
    files_remove_tree(dir);
}

void one_restart(void)
{
    one_stop();
    one_start();
}

uint64_t one_submit(struct edge_submit ask)
{
    uint64_t id = 0;
    ask.queue = ask.queue.at != NULL ? ask.queue : SPAN("q");
    ask.payload = SPAN("make");
    ask.lease_ms = ask.lease_ms != 0 ? ask.lease_ms : 60000;
    ask.tries = ask.tries != 0 ? ask.tries : 3;
    cr_assert_eq(handle_result(&handle, edge_submit(handle.edge, &ask), &id), 0);
    return id;
}

int one_try_claim(struct edge_claimed *got)
{
    struct edge_claim ask = {.worker = SPAN("w"), .queues = {SPAN("q")}, .queue_count = 1};
    int err;
    HANDLE_ASK(err, &handle, edge_claim(handle.edge, &ask, got));
    handle_settle(&handle);
    return err;
}

uint32_t one_claim(uint64_t id)
{
    struct edge_claimed got;
    int err = one_try_claim(&got);
    cr_assert_eq(err, 0, "claim: %s", tally_err_name(err));
    cr_assert_eq(got.id, id, "build %lu came instead of %lu", (unsigned long)got.id,
                 (unsigned long)id);
    cr_assert(!got.again);
    return got.token;
}

int one_done(uint64_t id, uint32_t token)
{
    int err;
    HANDLE_ASK(err, &handle, edge_done(handle.edge, id, token, SPAN("fine")));
    handle_settle(&handle);
    return err;
}

int one_release(uint64_t id, uint32_t token, uint32_t delay_ms)
{
    int err;
    HANDLE_ASK(err, &handle, edge_release(handle.edge, id, token, delay_ms));
    handle_settle(&handle);
    return err;
}

int one_fail(uint64_t id, uint32_t token, struct edge_failed *how)
{
    struct edge_fail ask = {.id = id, .token = token, .text = SPAN("broken")};
    int err;
    HANDLE_ASK(err, &handle, edge_fail(handle.edge, &ask, how));
    handle_settle(&handle);
    return err;
}

struct build_row one_build(uint64_t id)
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

void one_wait_for(uint64_t id, enum build_state state)
{
    while (one_build(id).state != state) {
        handle_wait(&handle);
    }
}
