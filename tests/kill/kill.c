/* 8 clients vote and work builds while the server is killed and started again, and again. */
#include "tests/kill/arena.h"
#include "tests/kill/crew.h"
#include "tests/kill/verdict.h"
#include "tests/lib/check.h"
#include "tests/lib/dump.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { KILLS = 50, DRAINS = 5, REPLIES_BETWEEN_MAX = 300, EARLY_KILL_MS_MAX = 30 };

static struct server server;
static struct arena arena;
static struct crew crew[CREW];
static pthread_t threads[CREW];
static uint64_t option_ids[OPTIONS];
static struct safe_options safe_options;
static bool crew_is_running;
static uint64_t first_seed, kill_count;
static const char *program;

/* A snapshot is always under way; with the second list old log goes as soon as two hold it. */
static const char *const snapshots[] = {"--snapshot-bytes", "4K", NULL};
static const char *const removals[] = {"--snapshot-bytes", "4K", "--retain-bytes", "4K", NULL};

static void join_crew(void)
{
    if (crew_is_running) {
        arena_finish(&arena);
        for (size_t i = 0; i < CREW; i++) {
            pthread_join(threads[i], NULL);
        }
        crew_is_running = false;
    }
}

/* Registered before the server's own end, so it runs after it: no thread waits for a server that is
 * dead. */
static void end_of_test(bool failed)
{
    join_crew();
    for (size_t i = 0; i < CREW; i++) {
        history_fini(&crew[i].history);
        safe_fini(&crew[i].safe);
    }
    if (failed) {
        printf("  with %s --seed %" PRIu64 " --kills %" PRIu64 "\n", program, first_seed,
               kill_count);
    }
}

static void set_up(const char *const *args)
{
    char label[16];
    struct client client;
    check_at_end(end_of_test);
    printf("  seed %" PRIu64 "\n", first_seed);
    server_start(&server, args);
    client_open(&client, &server);
    scene_poll(&client, "race");
    for (size_t i = 0; i < OPTIONS; i++) {
        snprintf(label, sizeof(label), "Option-%zu", i);
        option_ids[i] = scene_option(&client, "race", label);
    }
    safe_set_up(&safe_options, &client);
    client_close(&client);
    arena_init(&arena);
    for (size_t i = 0; i < CREW; i++) {
        memset(&crew[i], 0, sizeof(crew[i]));
        crew[i].arena = &arena;
        crew[i].options = option_ids;
        crew[i].safe_options = &safe_options;
        crew[i].index = i;
        crew[i].seed.state = first_seed * 1000 + i;
        crew[i].client.fd = -1;
    }
    crew_is_running = true;
    for (size_t i = 0; i < CREW; i++) {
        int error = pthread_create(&threads[i], NULL, crew_run, &crew[i]);
        EXPECT(error == 0, "pthread_create: %s", strerror(error));
    }
}

static void await_replies(struct seed *seed)
{
    bool good = arena_await_acked(&arena, 1 + seed_below(seed, REPLIES_BETWEEN_MAX));
    for (size_t i = 0; !good && i < CREW; i++) {
        /* the threads still run, but a fault is written before it is reported, and only once */
        EXPECT(crew[i].history.fault[0] == '\0', "%s", crew[i].history.fault);
    }
    EXPECT(good, "a client met a fault");
}

/* One start in five is killed again before it serves, in the middle of its recovery. */
static void restart(struct seed *seed)
{
    server_launch(&server);
    while (seed_below(seed, 5) == 0) {
        struct pollfd out = {.fd = server.out_fd, .events = POLLIN};
        poll(&out, 1, (int)seed_below(seed, EARLY_KILL_MS_MAX));
        server_kill9(&server);
        server_launch(&server);
    }
    server_await_ready(&server);
    arena_open(&arena, server.port);
}

/* Every vote is looked at only where the log has kept its beginning. */
static void give_verdict(bool is_whole)
{
    const struct safe *safe[CREW];
    uint64_t losses = 0;
    for (size_t i = 0; i < CREW; i++) {
        safe[i] = &crew[i].safe;
        losses += crew[i].history.losses;
    }
    printf("  %" PRIu64 " replies, %" PRIu64 " connections lost\n", arena.acked, losses);
    verdict_votes(crew, &server, is_whole);
    safe_verdict(safe, CREW, &safe_options, &server, is_whole);
    verdict_builds(crew, &server);
    verdict_holds(crew);
    server_term(&server);
    dump_verify(&server);
}

/* Kills it so often, and until what this run is about has been seen. */
static void kill_often(const char *const *args, bool (*is_seen)(void), bool is_whole)
{
    struct seed seed = {first_seed};
    set_up(args);
    arena_open(&arena, server.port);
    for (uint64_t i = 0; i < kill_count || !is_seen(); i++) {
        await_replies(&seed);
        arena_shut(&arena);
        server_kill9(&server);
        restart(&seed);
    }
    await_replies(&seed);
    join_crew();
    server_crash(&server);
    give_verdict(is_whole);
}

static bool is_killed(void)
{
    return true;
}

static void killed_again_and_again(void)
{
    kill_often(NULL, is_killed, true);
}

static bool has_loaded_snapshot(void)
{
    return server_has_said(&server, "with the snapshot at");
}

static void killed_in_snapshots(void)
{
    kill_often(snapshots, has_loaded_snapshot, true);
}

static bool has_removed_segment(void)
{
    char path[SERVER_PATH_MAX + 128];
    snprintf(path, sizeof(path), "%s/wal-0000000000000001.seg", server.data);
    return access(path, F_OK) != 0;
}

static void killed_while_old_log_goes(void)
{
    kill_often(removals, has_removed_segment, false);
}

static void drained_by_sigterm(void)
{
    struct seed seed = {first_seed};
    set_up(NULL);
    arena_open(&arena, server.port);
    for (int i = 0; i < DRAINS; i++) {
        await_replies(&seed);
        arena_shut(&arena);
        int code = server_term(&server);
        EXPECT(code == 0, "SIGTERM ended it with code %d", code);
        dump_verify(&server);
        server_restart(&server);
        arena_open(&arena, server.port);
    }
    await_replies(&seed);
    join_crew();
    server_crash(&server);
    give_verdict(true);
}

static const struct check_test tests[] = {
    {"Nothing acknowledged to 8 clients is missing after 50 kills, nothing is there twice",
     killed_again_and_again},
    {"Nor with a snapshot always under way", killed_in_snapshots},
    {"Nor while the log that two snapshots hold is removed", killed_while_old_log_goes},
    {"SIGTERM ends it with exit 0 and nothing acknowledged is missing", drained_by_sigterm},
};

int main(int argc, char **argv)
{
    program = argv[0];
    first_seed = check_option(argc, argv, "--seed", (uint64_t)time(NULL));
    kill_count = check_option(argc, argv, "--kills", KILLS);
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
