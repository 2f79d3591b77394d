/* Builds come, are done, and are dropped: memory and cost follow the builds that exist, not all
 * that ever existed. `--builds N` churns more of them, by hand. */
#include "tests/engine/handle.h"
#include "tests/lib/check.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 256, BUILDS = 150000, LOOKS = 8 };

/* Memory that the log takes for a time while it packs. */
#define SPARE_BYTES ((size_t)32 << 20)

static struct tally *tally;
static struct handle handle;

static void submit_batch(void)
{
    struct edge_submit ask = {
        .queue = SPAN("q"), .payload = SPAN("make"), .pri = 5, .lease_ms = 600000, .tries = 3};
    for (int i = 0; i < BATCH; i++) {
        int err = edge_submit(handle.edge, &ask);
        while (err == TALLY_FULL || handle_again(&handle, err)) { /* until old builds are dropped */
            if (err == TALLY_FULL) {
                handle_poll(&handle, "p");
            }
            err = edge_submit(handle.edge, &ask);
        }
        EXPECT(err == 0, "submit: %s", tally_err_name(err));
    }
    handle_settle(&handle);
}

static void finish_batch(void)
{
    struct edge_claim ask = {.worker = SPAN("w"), .queues = {SPAN("q")}, .queue_count = 1};
    static struct edge_claimed got[BATCH];
    for (int i = 0; i < BATCH; i++) {
        int err;
        HANDLE_ASK(err, &handle, edge_claim(handle.edge, &ask, &got[i]));
        EXPECT(err == 0, "claim: %s", tally_err_name(err));
    }
    handle_settle(&handle);
    for (int i = 0; i < BATCH; i++) {
        int err;
        HANDLE_ASK(err, &handle, edge_done(handle.edge, got[i].id, got[i].token, SPAN("ok")));
        EXPECT(err == 0, "done: %s", tally_err_name(err));
    }
    handle_settle(&handle);
}

/* Reads the first build, as BUILDS * COUNT 1 does. */
static void look(uint64_t churned)
{
    struct read_builds read;
    read_builds_init(&read);
    read.count = 1;
    EXPECT(handle_read(&handle, &read.read) == 0 && read.row_count == 1,
           "no build of all that were");
    printf("  %10" PRIu64 " builds: %6" PRIu64 " in memory in %3" PRIu64
           " chunks, the oldest is %" PRIu64 ", %zu KiB\n",
           churned, FIELD_GET(tally->state.builds_in_memory), tally->state.builds.chunks,
           read.rows[0].id, mallinfo2().uordblks / 1024);
    read_builds_fini(&read);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    uint64_t builds = check_option(argc, argv, "--builds", BUILDS);
    char dir[256];
    size_t bytes_then = 0;
    files_temp_dir(dir, sizeof dir);
    const struct tally_options options = {
        .dir = dir, .create = true, .edges = 1, .memory_bytes = 16 << 20};
    tally = handle_engine_with(&options);
    handle_open(&handle, tally);
    handle_worker(&handle, "w", BATCH);
    for (uint64_t churned = 0; churned < builds;) {
        submit_batch();
        finish_batch();
        churned += BATCH;
        if (churned / BATCH % (builds / BATCH / LOOKS + 1) == 0) {
            look(churned);
            bytes_then = bytes_then == 0 ? mallinfo2().uordblks : bytes_then;
        }
    }
    look(builds);
    uint64_t in_memory = FIELD_GET(tally->state.builds_in_memory);
    uint64_t chunks = tally->state.builds.chunks;
    EXPECT(in_memory < builds / 4, "%" PRIu64 " builds stay in memory", in_memory);
    EXPECT(chunks <= in_memory / TABLE_CHUNK + 3, "%" PRIu64 " chunks for them", chunks);
    EXPECT(mallinfo2().uordblks < bytes_then + SPARE_BYTES, "%zu KiB, %zu KiB before",
           mallinfo2().uordblks / 1024, bytes_then / 1024);
    handle_close(&handle);
    EXPECT(tally_close(tally) == 0, "close");
    files_remove_tree(dir);
    return 0;
}
