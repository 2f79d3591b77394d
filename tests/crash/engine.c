/* The whole engine on the simulated disk: votes, ballots and builds by three threads, images of
 * every moment. */
#include "tests/crash/disk.h"
#include "tests/engine/handle.h"
#include "tests/lib/count.h"
#include "tests/lib/seed.h"

#include "engine/tally.h"
#include "wal/base/check.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Unlike the crash images of the log alone these runs have real threads, so a seed repeats the
 * requests, and not the moment of each call. The checks do not depend on that moment: the image and
 * the acknowledged changes are taken together, under the disk's lock.
 */

enum { OPTIONS = 3, BUILDS_MAX = 512, OPS = 150, PAYLOAD_BYTES = 3000 };
enum { DEEP_ONE_OF = 24 };
enum { ACT_ONE_OF = 12 }; /* so many votes or ballots have one RESET or change of mode */
/* A ballot is for all options of a group, or is taken back. */
enum { GROUPS = 2, GROUP_OPTIONS = 2, VOTERS = 12 };

/* Numbers of images by depth: of a run, of a recovery, of a recovery inside a recovery. */
static const size_t images_max[] = {24, 2, 1, 0};

/* The oracle: the answers that were given, and the requests in flight. */
struct oracle {
    uint64_t votes[OPTIONS];        /* acknowledged */
    uint64_t asked[OPTIONS];        /* handed in */
    uint64_t ballots[GROUPS];       /* acknowledged: votes of each option of a group */
    uint64_t ballots_asked[GROUPS]; /* with the one that is handed in */
    uint64_t builds;                /* acknowledged */
    uint64_t builds_asked;
    unsigned allowed[BUILDS_MAX]; /* by build id: 1 << enum build_state */
    bool is_claiming;             /* any pending build may be assigned */
};

struct moment {
    struct disk disk;
    struct oracle oracle;
    unsigned depth;
};

struct moments {
    struct moment *images;
    size_t count;
    size_t room;
};

struct life {
    struct disk disk;
    struct tally *tally;
    pthread_mutex_t lock; /* the oracle */
    struct oracle oracle;
    struct seed seed; /* under the disk's lock: chooses the images */
    struct moments pile;
    uint64_t last_changes;
    bool saves;
    unsigned one_of;
    unsigned depth;
    uint64_t options[OPTIONS];
    uint64_t groups[GROUPS][GROUP_OPTIONS];
    uint64_t votes_seed;
};

static uint64_t images;
static uint64_t images_deep;
static uint64_t beheaded; /* number of images whose log had lost its beginning */

/* ---- images ---- */

static void moments_add(struct life *life, const struct disk *disk)
{
    struct moments *pile = &life->pile;
    if (pile->count == pile->room) {
        pile->room = pile->room * 2 + 16;
        pile->images = realloc(pile->images, pile->room * sizeof(*pile->images));
        CHECK(pile->images != NULL);
    }
    struct moment *image = &pile->images[pile->count++];
    enum disk_loss loss = (enum disk_loss)seed_below(&life->seed, DISK_LOSE_NONE + 1);
    pthread_mutex_lock(&life->lock);
    image->oracle = life->oracle;
    pthread_mutex_unlock(&life->lock);
    image->depth = life->depth + 1;
    disk_clone(&image->disk, disk);
    disk_crash(&image->disk, (struct disk_choice){loss, seed_next(&life->seed) >> 32});
}

/* Called before each file call, under the disk's lock: every answered change is on the disk, and
 * every change on the disk was asked for before. */
static void before(void *arg, const struct disk *disk, enum disk_call call)
{
    struct life *life = arg;
    (void)call;
    if (disk->changes == life->last_changes || life->pile.count >= images_max[life->depth]) {
        return;
    }
    life->last_changes = disk->changes;
    if (seed_below(&life->seed, life->one_of) == 0) {
        moments_add(life, disk);
    }
}

static void life_init(struct life *life, uint64_t seed)
{
    *life = (struct life){.seed = {seed}, .one_of = 24, .votes_seed = seed, .saves = seed % 2 == 1};
    disk_init(&life->disk);
    life->disk.habits = (unsigned)seed_below(&life->seed, 32) & ~(unsigned)DISK_STUTTERS;
    life->disk.seed.state = seed;
    pthread_mutex_init(&life->lock, NULL);
}

static int life_open(struct life *life, struct tally_report *report)
{
    struct tally_options options = {
        .io = &life->disk.io, .edges = 3, .segment_bytes = WAL_SEGMENT_BYTES_MIN};
    if (life->saves) { /* snapshots one after the other, old segments removed as soon as possible */
        options.snapshot_bytes = 16 << 10;
        options.retain_bytes = 1;
    }
    life->disk.before = before;
    life->disk.before_arg = life;
    return tally_open(&life->tally, &options, report);
}

static void life_fini(struct life *life)
{
    for (size_t i = 0; i < life->pile.count; i++) {
        disk_fini(&life->pile.images[i].disk);
    }
    free(life->pile.images);
    disk_fini(&life->disk);
    pthread_mutex_destroy(&life->lock);
}

/* ---- the three threads ---- */

/* A RESET takes the votes of all options, or of none. */
static void reset_votes(struct life *life, struct session *s)
{
    uint64_t sum = 0;
    uint64_t told = 0;
    pthread_mutex_lock(&life->lock);
    for (size_t i = 0; i < OPTIONS; i++) {
        sum += life->oracle.votes[i];
    }
    memset(life->oracle.asked, 0, sizeof(life->oracle.asked));
    pthread_mutex_unlock(&life->lock);
    CHECK(tally_reset(s, "p", &told) == 0);
    EXPECT(told == sum, "a RESET was told %" PRIu64 " instead of %" PRIu64, told, sum);
    pthread_mutex_lock(&life->lock);
    memset(life->oracle.votes, 0, sizeof(life->oracle.votes));
    pthread_mutex_unlock(&life->lock);
}

static void *vote(void *arg)
{
    struct life *life = arg;
    struct session *s = NULL;
    struct seed seed = {life->votes_seed};
    CHECK(tally_session_new(&s, life->tally) == 0);
    for (int i = 0; i < OPS; i++) {
        size_t at = seed_below(&seed, OPTIONS);
        uint64_t n = 1 + seed_below(&seed, 3);
        uint64_t after = 0;
        if (seed_below(&seed, ACT_ONE_OF) == 0) {
            reset_votes(life, s);
        }
        pthread_mutex_lock(&life->lock);
        life->oracle.asked[at] += n;
        pthread_mutex_unlock(&life->lock);
        CHECK(tally_vote(s, life->options[at], n, &after) == 0);
        pthread_mutex_lock(&life->lock);
        life->oracle.votes[at] += n;
        EXPECT(life->oracle.votes[at] == after, "a vote was told %" PRIu64 " instead of %" PRIu64,
               after, life->oracle.votes[at]);
        pthread_mutex_unlock(&life->lock);
    }
    tally_session_destroy(s);
    return NULL;
}

/* Asks for the ballot of a voter, who moves to a group, or from `GROUPS` on has no vote. */
static void ballot(struct life *life, struct handle *handle, const char *voter, size_t group)
{
    struct edge_ballot ask = {.option_count = GROUP_OPTIONS, .n = 1, .voter = span_of(voter)};
    int err = 0;
    if (group < GROUPS) {
        memcpy(ask.options, life->groups[group], sizeof(life->groups[group]));
        HANDLE_ASK(err, handle, edge_ballot(handle->edge, &ask));
    } else {
        HANDLE_ASK(err, handle, edge_unvote(handle->edge, SPAN("v"), ask.voter, SPAN("")));
    }
    err = handle_result(handle, err, NULL);
    EXPECT(err == 0, "a ballot of %s: %s", voter, tally_err_name(err));
}

/* Gives the voters' poll another mode and its own again, or resets it. */
static void act(struct life *life, struct handle *handle, bool is_reset, size_t group_of[VOTERS])
{
    int err = 0;
    for (int64_t mode = POLL_ONCE; mode <= POLL_CHANGE && !is_reset && err == 0; mode++) {
        const struct edge_poll ask = {SPAN("v"), EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, mode};
        err = handle_result(handle, edge_poll(handle->edge, &ask), NULL);
    }
    if (is_reset) {
        pthread_mutex_lock(&life->lock);
        memset(life->oracle.ballots_asked, 0, sizeof(life->oracle.ballots_asked));
        pthread_mutex_unlock(&life->lock);
        err = handle_result(handle, edge_reset(handle->edge, SPAN("v"), SPAN("")), NULL);
        pthread_mutex_lock(&life->lock);
        memset(life->oracle.ballots, 0, sizeof(life->oracle.ballots));
        pthread_mutex_unlock(&life->lock);
        for (size_t i = 0; i < VOTERS; i++) {
            group_of[i] = GROUPS;
        }
    }
    EXPECT(err == 0, "an act on a poll: %s", tally_err_name(err));
}

static void *cast(void *arg)
{
    struct life *life = arg;
    struct handle handle;
    struct seed seed = {life->votes_seed + 2};
    size_t group_of[VOTERS];
    for (size_t i = 0; i < VOTERS; i++) {
        group_of[i] = GROUPS;
    }
    handle_open(&handle, life->tally);
    for (int i = 0; i < OPS; i++) {
        size_t who = seed_below(&seed, VOTERS);
        size_t group = seed_below(&seed, GROUPS + 1);
        char voter[] = {'v', (char)('a' + who), '\0'};
        if (seed_below(&seed, ACT_ONE_OF) == 0) {
            act(life, &handle, seed_below(&seed, 2) == 0, group_of);
        }
        pthread_mutex_lock(&life->lock);
        if (group_of[who] < GROUPS) {
            life->oracle.ballots_asked[group_of[who]]--;
        }
        if (group < GROUPS) {
            life->oracle.ballots_asked[group]++;
        }
        pthread_mutex_unlock(&life->lock);
        ballot(life, &handle, voter, group);
        group_of[who] = group;
        pthread_mutex_lock(&life->lock);
        memcpy(life->oracle.ballots, life->oracle.ballots_asked, sizeof(life->oracle.ballots));
        pthread_mutex_unlock(&life->lock);
    }
    handle_settle(&handle);
    handle_close(&handle);
    return NULL;
}

#define MAY(state) (1U << BUILD_##state)

/* Allows the build to be in any of these states from now on. */
static void allow(struct life *life, uint64_t id, unsigned mask, bool is_claiming)
{
    pthread_mutex_lock(&life->lock);
    CHECK(id < BUILDS_MAX);
    life->oracle.allowed[id] = mask;
    life->oracle.is_claiming = is_claiming;
    pthread_mutex_unlock(&life->lock);
}

static void submit(struct life *life, struct session *s, struct seed *seed)
{
    static const char zeros[PAYLOAD_BYTES];
    uint64_t id = 0;
    struct span payload = {zeros, seed_below(seed, PAYLOAD_BYTES)};
    pthread_mutex_lock(&life->lock);
    life->oracle.builds_asked++;
    pthread_mutex_unlock(&life->lock);
    CHECK(tally_submit(s, "ci", payload, &id) == 0);
    allow(life, id, MAY(PENDING), false);
    pthread_mutex_lock(&life->lock);
    life->oracle.builds++;
    EXPECT(life->oracle.builds == id, "build %" PRIu64 " is number %" PRIu64, id,
           life->oracle.builds);
    pthread_mutex_unlock(&life->lock);
}

static void finish(struct life *life, struct session *s, struct seed *seed,
                   const struct tally_claim *claim)
{
    const unsigned held = MAY(ASSIGNED) | MAY(BUILDING);
    switch (seed_below(seed, 4)) {
    case 0:
        allow(life, claim->id, held | MAY(PENDING) | MAY(DELAYED) | MAY(FAILED), false);
        CHECK(tally_fail(s, claim->id, claim->token, SPAN("red")) == 0);
        allow(life, claim->id, MAY(PENDING) | MAY(DELAYED) | MAY(FAILED), false);
        break;
    case 1:
        allow(life, claim->id, held | MAY(PENDING), false);
        CHECK(tally_release(s, claim->id, claim->token) == 0);
        allow(life, claim->id, MAY(PENDING), false);
        break;
    default:
        allow(life, claim->id, held | MAY(COMPLETED), false);
        CHECK(tally_done(s, claim->id, claim->token, SPAN("green")) == 0);
        allow(life, claim->id, MAY(COMPLETED), false);
        break;
    }
}

static void *build(void *arg)
{
    struct life *life = arg;
    struct session *s = NULL;
    struct seed seed = {life->votes_seed + 1};
    CHECK(tally_session_new(&s, life->tally) == 0);
    CHECK(tally_worker(s, "w", 1) == 0);
    for (int i = 0; i < OPS / 2; i++) {
        struct tally_claim claim;
        if (seed_below(&seed, 3) > 0) {
            submit(life, s, &seed);
            continue;
        }
        allow(life, 0, 0, true);
        if (tally_claim(s, "w", "ci", &claim) == 0) {
            free(claim.payload);
            allow(life, claim.id, MAY(ASSIGNED), false);
            finish(life, s, &seed, &claim);
        }
    }
    tally_session_destroy(s);
    return NULL;
}

static void make_polls(struct life *life)
{
    struct handle handle;
    struct edge_poll voters = {SPAN("v"), EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, POLL_CHANGE};
    handle_open(&handle, life->tally);
    handle_poll(&handle, "p");
    for (size_t i = 0; i < OPTIONS; i++) {
        char label[] = {(char)('a' + i), '\0'};
        life->options[i] = handle_option(&handle, "p", label);
    }
    CHECK(handle_result(&handle, edge_poll(handle.edge, &voters), NULL) == 0);
    for (size_t i = 0; i < (size_t)GROUPS * GROUP_OPTIONS; i++) {
        char label[] = {(char)('a' + i), '\0'};
        life->groups[i / GROUP_OPTIONS][i % GROUP_OPTIONS] = handle_option(&handle, "v", label);
    }
    handle_close(&handle);
}

static void live(struct life *life)
{
    static void *(*const bodies[])(void *) = {vote, cast, build};
    struct tally_report report;
    pthread_t threads[COUNT_OF(bodies)];
    EXPECT(life_open(life, &report) == 0, "a new log: %s", report.text);
    make_polls(life);
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        CHECK(pthread_create(&threads[i], NULL, bodies[i], life) == 0);
    }
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK(tally_close(life->tally) == 0);
}

/* ---- the contents of an image ---- */

struct contents {
    uint64_t votes[OPTIONS + 1]; /* by option id */
    uint64_t ballots[GROUPS][GROUP_OPTIONS];
    uint64_t builds;
    enum build_state states[BUILDS_MAX];
};

/* Reads the votes of a poll, the first of whose options has that id, if it is there. */
static void look_at_poll(struct handle *handle, struct span poll, uint64_t first, uint64_t *votes,
                         size_t count)
{
    struct read_tally read;
    read_tally_init(&read, poll, SIZE_MAX);
    if (handle_read(handle, &read.read) == 0) {
        for (size_t i = 0; i < read.row_count; i++) {
            CHECK(read.rows[i].id >= first && read.rows[i].id < first + count);
            votes[read.rows[i].id - first] = read.rows[i].votes;
        }
    }
    read_tally_fini(&read);
}

static void look(struct tally *tally, struct contents *found)
{
    struct handle handle;
    struct read_builds builds;
    memset(found, 0, sizeof(*found));
    handle_open(&handle, tally);
    look_at_poll(&handle, SPAN("p"), 1, &found->votes[1], OPTIONS);
    look_at_poll(&handle, SPAN("v"), OPTIONS + 1, found->ballots[0],
                 (size_t)GROUPS * GROUP_OPTIONS);
    read_builds_init(&builds);
    builds.count = BUILDS_MAX;
    CHECK(handle_read(&handle, &builds.read) == 0);
    for (size_t i = 0; i < builds.row_count; i++) {
        found->states[builds.rows[i].id] = builds.rows[i].state;
    }
    found->builds = builds.row_count;
    read_builds_fini(&builds);
    handle_close(&handle);
}

static void judge_builds(const struct oracle *oracle, const struct contents *found)
{
    unsigned claimed = 0;
    EXPECT(found->builds >= oracle->builds && found->builds <= oracle->builds_asked,
           "%" PRIu64 " builds: %" PRIu64 " acknowledged, %" PRIu64 " asked for", found->builds,
           oracle->builds, oracle->builds_asked);
    for (uint64_t id = 1; id <= found->builds; id++) {
        unsigned is = 1U << found->states[id];
        /* a submit that is not answered yet has no entry */
        unsigned may = id <= oracle->builds ? oracle->allowed[id] : MAY(PENDING);
        if ((is & may) == 0 && oracle->is_claiming && (may & MAY(PENDING)) != 0) {
            claimed++;
            may = MAY(ASSIGNED);
        }
        EXPECT((is & may) != 0, "build %" PRIu64 " is %s, allowed is %x", id,
               status_state_name(found->states[id]), may);
    }
    EXPECT(claimed <= 1, "%u builds are claimed by one request", claimed);
}

/* A ballot counts for all options of its group or for none, and moves as a whole. */
static void judge_ballots(const struct oracle *oracle, const struct contents *found)
{
    uint64_t is[GROUPS];
    for (size_t g = 0; g < GROUPS; g++) {
        is[g] = found->ballots[g][0];
        for (size_t i = 1; i < GROUP_OPTIONS; i++) {
            EXPECT(found->ballots[g][i] == is[g], "half a ballot: %" PRIu64 " and %" PRIu64, is[g],
                   found->ballots[g][i]);
        }
    }
    EXPECT(memcmp(is, oracle->ballots, sizeof(is)) == 0 ||
               memcmp(is, oracle->ballots_asked, sizeof(is)) == 0,
           "the groups have %" PRIu64 " and %" PRIu64 " votes: %" PRIu64 " and %" PRIu64
           " acknowledged, %" PRIu64 " and %" PRIu64 " with the ballot that was asked for",
           is[0], is[1], oracle->ballots[0], oracle->ballots[1], oracle->ballots_asked[0],
           oracle->ballots_asked[1]);
}

static void judge(const struct oracle *oracle, const struct contents *found)
{
    const uint64_t *is = &found->votes[1];
    EXPECT(memcmp(is, oracle->votes, sizeof(oracle->votes)) == 0 ||
               memcmp(is, oracle->asked, sizeof(oracle->asked)) == 0,
           "the options have %" PRIu64 " %" PRIu64 " %" PRIu64 " votes: %" PRIu64 " %" PRIu64
           " %" PRIu64 " acknowledged",
           is[0], is[1], is[2], oracle->votes[0], oracle->votes[1], oracle->votes[2]);
    judge_ballots(oracle, found);
    judge_builds(oracle, found);
}

/* The votes of the options by the log; not known before an option's first record, if the log has
 * lost its beginning. */
struct chain {
    uint64_t last[OPTIONS + 1];
    bool is_known[OPTIONS + 1];
    bool has_begun;
};

/* Every option's records continue where the one before ended (G2). */
static int check_record(void *arg, const struct record *record)
{
    struct chain *chain = arg;
    if (record->type == RECORD_RESET && record->num[RESET_POLL] == 1) {
        memset(&chain->last[1], 0, OPTIONS * sizeof(chain->last[1]));
        memset(&chain->is_known[1], true, OPTIONS);
    }
    if (record->type != RECORD_VOTE) {
        return 0;
    }
    uint64_t option = record->num[VOTE_OPTION];
    uint64_t before = option_votes(record->num[VOTE_BEFORE]);
    EXPECT(option <= OPTIONS && (!chain->is_known[option] || before == chain->last[option]),
           "record %" PRIu64 " does not continue option %" PRIu64, record->lsn, option);
    chain->last[option] = before + record->num[VOTE_N];
    chain->is_known[option] = true;
    return 0;
}

static int check_block(void *arg, const struct wal_block *block)
{
    struct chain *chain = arg;
    if (!chain->has_begun) {
        chain->has_begun = true;
        memset(chain->is_known, block->first_lsn == 1, sizeof(chain->is_known));
    }
    return block->count == 0 ? 0
                             : columns_decode(block->raw, block->raw_bytes, block->first_lsn,
                                              block->count, check_record, arg);
}

static void check_chain(struct disk *disk, const struct contents *found)
{
    struct chain chain = {.has_begun = false};
    struct wal_report report;
    EXPECT(wal_reader_once(&disk->io, check_block, &chain, &report) == 0, "%s", report.text);
    beheaded += chain.has_begun && !chain.is_known[0];
    for (size_t i = 0; i <= OPTIONS; i++) {
        EXPECT(!chain.is_known[i] || chain.last[i] == found->votes[i],
               "the log's votes are not the state's");
    }
}

/* Opens the image, closes it, opens it again: the state is right, and the same. Images captured
 * meanwhile are put on the life's own pile. */
static void recover(struct moment *image, uint64_t seed, struct moments *deeper)
{
    struct life life;
    struct contents found;
    struct contents again;
    struct tally_report report;
    life_init(&life, seed);
    disk_fini(&life.disk);
    life.disk = image->disk;
    life.oracle = image->oracle;
    life.one_of = DEEP_ONE_OF;
    life.depth = image->depth;
    EXPECT(life_open(&life, &report) == 0, "refused: %s", report.text);
    life.disk.before = NULL;
    look(life.tally, &found);
    judge(&image->oracle, &found);
    CHECK(tally_close(life.tally) == 0);
    check_chain(&life.disk, &found);
    disk_crash(&life.disk, (struct disk_choice){DISK_LOSE_ALL, 0});
    EXPECT(life_open(&life, &report) == 0, "refused the second time: %s", report.text);
    look(life.tally, &again);
    EXPECT(memcmp(&found, &again, sizeof(found)) == 0, "the second recovery is not the first");
    CHECK(tally_close(life.tally) == 0);
    *deeper = life.pile;
    life.pile = (struct moments){.images = NULL};
    life_fini(&life);
}

static void recover_all(struct moments *pile, uint64_t seed)
{
    for (size_t i = 0; i < pile->count; i++) {
        struct moments deeper;
        images++;
        images_deep += pile->images[i].depth > 1;
        recover(&pile->images[i], seed + i, &deeper);
        recover_all(&deeper, seed * 31 + i);
    }
    free(pile->images);
    *pile = (struct moments){.images = NULL};
}

static uint64_t number(const char *text, uint64_t otherwise)
{
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* crash_engine [images [seed]] */
int main(int argc, char **argv)
{
    uint64_t wanted = number(argc > 1 ? argv[1] : NULL, 300);
    uint64_t seed = number(argc > 2 ? argv[2] : NULL, 1);
    uint64_t runs = 0;
    while (images < wanted) {
        struct life life;
        printf("seed %" PRIu64 "\n", seed);
        fflush(stdout);
        life_init(&life, seed++);
        live(&life);
        recover_all(&life.pile, seed);
        life_fini(&life);
        runs++;
    }
    printf("%" PRIu64 " crash images of the engine in %" PRIu64 " runs (%" PRIu64
           " inside recoveries, %" PRIu64 " without the log's beginning), 0 violations\n",
           images, runs, images_deep, beheaded);
    return 0;
}
