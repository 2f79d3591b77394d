/* An example of the library without a network: it counts votes, hands out a build, closes, opens
 * again and reads. */
#include "engine/tally.h"

#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void must(int err, const char *what)
{
    if (err != 0) {
        fprintf(stderr, "%s: %s (%s)\n", what, tally_err_name(err), tally_err_text(err));
        exit(1);
    }
}

static struct tally *open_dir(const char *dir, struct session **session)
{
    struct tally_options options = {.dir = dir, .create = true};
    struct tally_report report;
    struct tally *tally = NULL;
    must(tally_open(&tally, &options, &report), report.text);
    must(tally_session_new(session, tally), "session");
    return tally;
}

static void close_dir(struct tally *tally, struct session *session)
{
    tally_session_destroy(session);
    must(tally_close(tally), "close");
}

static void expect(uint64_t is, uint64_t wanted, const char *what)
{
    printf("%s = %" PRIu64 "\n", what, is);
    if (is != wanted) {
        fprintf(stderr, "%s should be %" PRIu64 "\n", what, wanted);
        exit(1);
    }
}

static void first_run(const char *dir)
{
    struct session *s = NULL;
    struct tally *tally = open_dir(dir, &s);
    uint64_t option = 0;
    uint64_t votes = 0;
    uint64_t build = 0;
    must(tally_poll(s, "lang"), "poll");
    must(tally_option(s, "lang", "C", &option), "option");
    must(tally_vote(s, option, 1, &votes), "vote");
    must(tally_vote(s, option, 2, &votes), "vote");
    expect(votes, 3, "votes after");
    must(tally_submit(s, "ci", SPAN("make all"), &build), "submit");
    must(tally_submit(s, "ci", SPAN("make check"), &build), "submit");
    close_dir(tally, s);
}

/* A build that was given back is offered again, and it can be ended while the engine drains. */
static void end_run(struct tally *tally, struct session *s)
{
    struct tally_claim claim;
    uint64_t build = 0;
    expect((uint64_t)tally_claim(s, "w1", "deploy", &claim), 1, "nothing in another queue");
    must(tally_claim(s, "w1", "ci", &claim), "claim");
    expect(claim.id, 2, "the build that was given back");
    expect(claim.attempt, 1, "its attempt, since the first one was not counted");
    free(claim.payload);
    must(tally_claim(s, "w1", "ci", &claim), "claim");
    expect(claim.again, true, "with its one slot taken, the worker is told again");
    free(claim.payload);
    tally_drain(tally);
    expect(tally_submit(s, "ci", SPAN("late"), &build) == TALLY_DRAINING, true, "no new work");
    must(tally_done(s, claim.id, claim.token, SPAN("")), "done");
}

static void second_run(const char *dir)
{
    struct session *s = NULL;
    struct tally *tally = open_dir(dir, &s);
    struct tally_count counts[10];
    size_t count = 10;
    struct tally_claim claim;
    must(tally_tally(s, "lang", counts, &count), "tally");
    expect(count, 1, "options");
    expect(counts[0].votes, 3, "votes after a restart");
    must(tally_worker(s, "w1", 1), "worker");
    must(tally_claim(s, "w1", "ci", &claim), "claim");
    printf("build %" PRIu64 ", token %" PRIu32 ": %.*s\n", claim.id, claim.token,
           (int)claim.payload_bytes, (char *)claim.payload);
    free(claim.payload);
    expect(claim.id, 1, "the oldest build");
    must(tally_done(s, claim.id, claim.token, SPAN("ok")), "done");
    expect((uint64_t)-tally_fail(s, claim.id, claim.token, SPAN("late")), (uint64_t)-TALLY_STALE,
           "a late failure is told (STALE)");
    must(tally_claim(s, "w1", "ci", &claim), "claim");
    expect(claim.id, 2, "the next build");
    free(claim.payload);
    must(tally_release(s, claim.id, claim.token), "release");
    end_run(tally, s);
    close_dir(tally, s);
}

static int remove_one(const char *path, const struct stat *what, int flag, struct FTW *walk)
{
    (void)what;
    (void)flag;
    (void)walk;
    return remove(path);
}

int main(void)
{
    char dir[] = "/tmp/tally-example.XXXXXX";
    if (mkdtemp(dir) == NULL) {
        perror("mkdtemp");
        return 1;
    }
    first_run(dir);
    second_run(dir);
    return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : 1;
}
