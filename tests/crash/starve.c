/* Starts of the engine, with a new log and an old one, in which the k-th allocation fails. */
#include "tests/crash/allocations.h"
#include "tests/crash/disk.h"
#include "tests/engine/handle.h"

#include "engine/tally.h"
#include "wal/base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local uint64_t starve_at; /* this one fails; 0: none */
static struct disk disk;

/* Allocations fail only in the thread that starts the engine, and not inside the disk, whose lock
 * it then holds. */
bool allocation_fails(void)
{
    return starve_at != 0 && !disk.is_busy && --starve_at == 0;
}

static const struct tally_options options = {.io = &disk.io, .edges = 1, .segment_bytes = 1 << 20};

static struct tally *open_engine(void)
{
    struct tally_report report;
    struct tally *tally = NULL;
    int err = tally_open(&tally, &options, &report);
    EXPECT(err == 0, "%s: %s", tally_err_name(err), report.text);
    return tally;
}

/* Makes one of every kind of object that a start has to build again. */
static void fill(void)
{
    struct session *s = NULL;
    struct tally *tally = open_engine();
    struct tally_claim claim;
    uint64_t option = 0;
    uint64_t id = 0;
    CHECK(tally_session_new(&s, tally) == 0);
    CHECK(tally_poll(s, "p") == 0 && tally_option(s, "p", "a", &option) == 0);
    CHECK(tally_vote(s, option, 5, &id) == 0);
    CHECK(tally_worker(s, "w", 1) == 0 && tally_submit(s, "ci", SPAN("make"), &id) == 0);
    CHECK(tally_submit(s, "ci", SPAN("make check"), &id) == 0);
    CHECK(tally_claim(s, "w", "ci", &claim) == 0);
    CHECK(tally_done(s, claim.id, claim.token, SPAN("ok")) == 0);
    free(claim.payload);
    tally_session_destroy(s);
    CHECK(tally_close(tally) == 0);
}

static void expect_votes(uint64_t votes)
{
    struct session *s = NULL;
    struct tally *tally = open_engine();
    struct tally_count count = {0};
    size_t rows = 1;
    CHECK(tally_session_new(&s, tally) == 0);
    (void)tally_tally(s, "p", &count, &rows);
    EXPECT(count.votes == votes, "%" PRIu64 " votes instead of %" PRIu64, count.votes, votes);
    tally_session_destroy(s);
    CHECK(tally_close(tally) == 0);
}

/* Returns whether there was a k-th allocation. */
static bool start_starved(uint64_t k, uint64_t votes)
{
    struct tally_report report;
    struct tally *tally = NULL;
    starve_at = k;
    int err = tally_open(&tally, &options, &report);
    bool was_hit = starve_at == 0;
    starve_at = 0;
    EXPECT(err == 0 || (was_hit && err == TALLY_NOMEM), "allocation %" PRIu64 ": %s: %s", k,
           tally_err_name(err), report.text);
    if (err == 0) {
        CHECK(tally_close(tally) == 0);
    }
    disk_kill(&disk);
    expect_votes(votes);
    return was_hit;
}

static uint64_t each_allocation(const struct disk *log, uint64_t votes)
{
    uint64_t k = 1;
    bool is_more = true;
    while (is_more) {
        disk_clone(&disk, log);
        is_more = start_starved(k, votes);
        disk_fini(&disk);
        k += is_more;
    }
    return k - 1;
}

int main(void)
{
    struct disk empty;
    struct disk filled;
    disk_init(&empty);
    disk_init(&disk);
    fill();
    disk_clone(&filled, &disk);
    disk_fini(&disk);
    uint64_t of_new = each_allocation(&empty, 0);
    uint64_t of_old = each_allocation(&filled, 5);
    printf("%" PRIu64 " allocations of a first start, %" PRIu64 " of a replay: 0 violations\n",
           of_new, of_old);
    disk_fini(&filled);
    disk_fini(&empty);
    return 0;
}
