/* The blocking forms of the edge's calls, for tests. */
#include "tests/engine/handle.h"

#include "wal/base/clock.h"

static const uint64_t lost_wake_ns = 20ULL * 1000 * 1000 * 1000;

static void handle_wake(void *arg)
{
    const struct handle *handle = arg;
    wake_unblock(&handle->lane->wake);
}

void handle_open(struct handle *handle, struct tally *tally)
{
    int err = edge_new(&handle->edge, tally, handle_wake, handle);
    EXPECT(err == 0, "edge_new: %s", tally_err_name(err));
    handle->lane = handle->edge->lane;
    edge_pass_begin(handle->edge);
}

void handle_close(struct handle *handle)
{
    handle_settle(handle);
    edge_pass_end(handle->edge);
    edge_destroy(handle->edge);
    memset(handle, 0xa5, sizeof(*handle)); /* a late call of handle_wake would crash */
}

void handle_wait(struct handle *handle)
{
    edge_publish(handle->edge);
    edge_pass_end(handle->edge);
    if (edge_may_sleep(handle->edge)) {
        uint64_t began_ns = clock_mono_ns();
        wake_block(&handle->lane->wake, lost_wake_ns);
        EXPECT(clock_mono_ns() - began_ns < lost_wake_ns, "no commit has woken this edge for 20 s");
        edge_awake(handle->edge);
    }
    edge_pass_begin(handle->edge);
}

void handle_settle(struct handle *handle)
{
    edge_publish(handle->edge);
    while (edge_applied(handle->edge) < edge_tail(handle->edge)) {
        handle_wait(handle);
    }
    edge_free(handle->edge, edge_applied(handle->edge));
}

bool handle_again(struct handle *handle, int err)
{
    if (err == TALLY_ROOM) {
        handle_settle(handle);
        return true;
    }
    if (err == TALLY_PARK) {
        handle_wait(handle);
        return true;
    }
    return false;
}

int handle_result(struct handle *handle, int err, uint64_t *value)
{
    struct edge_result result = {0};
    if (err != 0) {
        return err;
    }
    edge_publish(handle->edge);
    while (edge_applied(handle->edge) < edge_tail(handle->edge)) {
        handle_wait(handle);
    }
    do {
        err = edge_apply_result(handle->edge, edge_tail(handle->edge), &result);
        if (err == TALLY_PARK) {
            handle_wait(handle);
        }
    } while (err == TALLY_PARK);
    if (value != NULL) {
        *value = result.value;
    }
    edge_free(handle->edge, edge_applied(handle->edge));
    return err;
}

void handle_poll(struct handle *handle, const char *name)
{
    struct edge_poll ask = {span_of(name), EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, EDGE_KEEP};
    int err = handle_result(handle, edge_poll(handle->edge, &ask), NULL);
    EXPECT(err == 0, "poll %s: %s", name, tally_err_name(err));
}

uint64_t handle_option(struct handle *handle, const char *poll, const char *label)
{
    uint64_t id = 0;
    int err = handle_result(
        handle, edge_option(handle->edge, span_of(poll), span_of(label), SPAN("")), &id);
    EXPECT(err == 0, "option %s: %s", label, tally_err_name(err));
    return id;
}

void handle_worker(struct handle *handle, const char *id, uint32_t slots)
{
    struct edge_worker ask = {.id = span_of(id), .slots = slots};
    int err = handle_result(handle, edge_worker(handle->edge, &ask), NULL);
    EXPECT(err == 0, "worker %s: %s", id, tally_err_name(err));
}

int handle_read(struct handle *handle, struct read *read)
{
    int err = edge_read(handle->edge, read);
    while (err == EDGE_QUEUED && !read_is_done(read)) {
        handle_wait(handle);
    }
    return read->err;
}

struct tally *handle_engine(const char *dir, unsigned edges)
{
    return handle_engine_with(&(struct tally_options){.dir = dir, .create = true, .edges = edges});
}

struct tally *handle_engine_with(const struct tally_options *options)
{
    struct tally_report report;
    struct tally *tally = NULL;
    int err = tally_open(&tally, options, &report);
    EXPECT(err == 0, "open: %s (%s)", tally_err_name(err), report.text);
    return tally;
}
