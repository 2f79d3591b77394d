/* A full disk: ERR READONLY, reads go on, and freeing space heals it without a restart. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/seed.h"
#include "tests/lib/server.h"
#include "tests/lib/wait.h"
#include "tests/limits/small_disk.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PAYLOAD_BYTES = 512 * 1024,
    DISK_MIB = 448,
    SMALL_MIB = 146,
    MIDDLE_MIB = 250,
    SUBMITS_MAX = DISK_MIB * 2,
    HEAL_MS = 60000,
    EXIT_NO_ROOM = 75,
};

static struct server server;
static struct client client;
static uint64_t ids[SUBMITS_MAX];
static size_t submit_count;
static unsigned char payload[PAYLOAD_BYTES];

/* One I/O thread, so that the segments are as long on every machine. */
static const char *const args[] = {"--threads", "1", NULL};

static void begin_with(unsigned mib, const char *const *with)
{
    submit_count = 0;
    small_disk_init(&server, mib);
    server.args = with;
    server_restart(&server);
    client_open(&client, &server);
}

static void begin(unsigned mib)
{
    begin_with(mib, args);
}

static void end(void)
{
    client_close(&client);
    int code = server_term(&server);
    EXPECT(code == 0, "SIGTERM ended it with code %d", code);
    small_disk_fini();
}

static void restart_with(int signal_number)
{
    client_close(&client);
    if (signal_number == SIGKILL) {
        server_kill9(&server);
    } else {
        int code = server_term(&server);
        EXPECT(code == 0, "SIGTERM ended it with code %d", code);
    }
    server_restart(&server);
    client_open(&client, &server);
}

/* Returns false when it was refused, which must be for lack of space. */
static bool submit_one(void)
{
    seed_fill(submit_count, payload, sizeof(payload));
    EXPECT(client_send_blob(&client, "SUBMIT big LEASE 3600000", payload, sizeof(payload)),
           "cut off after %zu builds", submit_count);
    const struct reply *reply = client_next(&client);
    if (!reply_is_ok(reply)) {
        EXPECT(reply_is_err(reply, "READONLY"), "a full disk gave '%s'", reply->line);
        return false;
    }
    ids[submit_count++] = line_number(reply->line, 1);
    return true;
}

static void submit_builds(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        EXPECT(submit_one(), "the disk is full after %zu builds", submit_count);
    }
}

/* Submits one build after the other until one is refused. */
static void submit_until_full(void)
{
    while (submit_count < SUBMITS_MAX && submit_one()) {
    }
    EXPECT(submit_count < SUBMITS_MAX, "the disk does not get full");
    printf("  full after %zu builds\n", submit_count);
}

static void expect_submits(void)
{
    for (size_t i = 0; i < submit_count; i++) {
        seed_fill(i, payload, sizeof(payload));
        const struct reply *reply = client_get(&client, "PAYLOAD %" PRIu64, ids[i]);
        EXPECT(reply->blob != NULL && reply->blob_bytes == sizeof(payload) &&
                   memcmp(reply->blob, payload, sizeof(payload)) == 0,
               "build %" PRIu64 " was acknowledged, and is now '%s'", ids[i], reply->line);
    }
}

/* Expects a server on a full disk: no new change, every read, and the running build can end. */
static void expect_readonly(uint64_t option, const struct claim *held)
{
    client_expect_err(&client, "READONLY", "VOTE %" PRIu64, option);
    client_expect_err(&client, "READONLY", "POLL other");
    client_expect_err(&client, "READONLY", "OPTION lang Other");
    client_expect_err(&client, "READONLY", "SUBMIT small build");
    client_expect_err(&client, "BUSY", "SNAPSHOT");
    client_expect(&client, "OK PONG", "PING");
    EXPECT(scene_votes(&client, "lang", option) == 1, "a refused vote was counted");
    EXPECT(scene_build_has(&client, ids[0], "state", "pending"), "the first build moved");
    expect_submits();
    client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64 " RESULT done", held->id, held->token);
}

static bool is_readonly(const struct reply *reply, uint64_t deadline_ms)
{
    EXPECT(reply_is_ok(reply) || reply_is_err(reply, "READONLY"), "'%s'", reply->line);
    EXPECT(wait_left_ms(deadline_ms) > 0, "not healed in %d ms", HEAL_MS);
    return !reply_is_ok(reply);
}

/* Asks until it is accepted: the server looks for space by itself. Each try is one round trip. */
static void await_vote(uint64_t option, uint64_t votes)
{
    uint64_t deadline_ms = wait_now_ms() + HEAL_MS;
    const struct reply *reply;
    do {
        reply = client_get(&client, "VOTE %" PRIu64, option);
    } while (is_readonly(reply, deadline_ms));
    EXPECT(line_number(reply->line, 1) == votes, "VOTE gave '%s'", reply->line);
}

static void await_healed(uint64_t option)
{
    await_vote(option, 2);
}

/* Removes the preallocated segments, so that a start has to make one. They have no blocks while the
 * first segment is not full. */
static void remove_segments_made_ahead(void)
{
    char path[sizeof(server.data) + 32];
    for (unsigned number = 2; number < 9; number++) {
        snprintf(path, sizeof(path), "%s/wal-%016x.seg", server.data, number);
        (void)unlink(path);
    }
}

/* The server looks at the disk now and then. */
static void await_readonly(uint64_t option)
{
    AWAIT(HEAL_MS, scene_info(&client, "readonly") != 0, "not READONLY in %d ms", HEAL_MS);
    client_expect_err(&client, "READONLY", "VOTE %" PRIu64, option);
}

static void full_and_healed(void)
{
    struct claim held;
    begin(DISK_MIB);
    scene_poll(&client, "lang");
    uint64_t option = scene_option(&client, "lang", "Elixir");
    client_expect(&client, "OK 1", "VOTE %" PRIu64, option);
    scene_worker(&client, "w1");
    scene_submit(&client, "small", "LEASE 3600000", "held");
    scene_claim(&held, &client, "w1", "small");
    submit_builds(20);

    small_disk_fill(0);
    submit_until_full();
    expect_readonly(option, &held);
    small_disk_clear();
    await_healed(option);
    scene_submit(&client, "small", "", "after");
    expect_submits();

    restart_with(SIGKILL);
    expect_submits();
    EXPECT(scene_votes(&client, "lang", option) == 2, "the crash changed the count");
    EXPECT(scene_build_has(&client, held.id, "state", "completed"), "the end of a build is lost");
    client_expect(&client, "OK 3", "VOTE %" PRIu64, option);
    end();
}

/* The requests that have to work on a full disk, also right after a start. */
static void expect_serves(struct claim claims[3], uint64_t option)
{
    client_expect_err(&client, "READONLY", "VOTE %" PRIu64, option);
    client_expect_err(&client, "READONLY", "SUBMIT small :build");
    expect_submits();
    client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64 " RESULT :done", claims[0].id,
                  claims[0].token);
    const struct reply *reply =
        client_get(&client, "FAIL %" PRIu64 " %" PRIu64, claims[1].id, claims[1].token);
    EXPECT(reply_is_ok(reply), "FAIL gave '%s'", reply->line);
    reply = client_get(&client, "RELEASE %" PRIu64 " %" PRIu64, claims[2].id, claims[2].token);
    EXPECT(reply_is_ok(reply), "RELEASE gave '%s'", reply->line);
    reply = client_get(&client, "SNAPSHOT");
    EXPECT(reply_is_ok(reply), "SNAPSHOT gave '%s'", reply->line);
}

/* The server is started again on a full disk: its state is the same, and it heals. */
static void starts_full(int signal_number)
{
    static struct claim claims[3];
    begin(SMALL_MIB);
    scene_poll(&client, "lang");
    uint64_t option = scene_option(&client, "lang", "Elixir");
    client_expect(&client, "OK 1", "VOTE %" PRIu64, option);
    for (size_t i = 0; i < COUNT_OF(claims); i++) {
        static const char *const workers[] = {"w1", "w2", "w3"};
        scene_worker(&client, workers[i]);
        scene_submit(&client, "small", "LEASE 3600000", "held");
        scene_claim(&claims[i], &client, workers[i], "small");
    }
    submit_builds(10);
    submit_until_full();
    restart_with(signal_number);
    submit_until_full(); /* the close has given space back, which is used up again */
    expect_serves(claims, option);
    restart_with(signal_number);
    submit_until_full();
    expect_submits();
    EXPECT(scene_votes(&client, "lang", option) == 1, "a refused vote was counted");
    EXPECT(scene_build_has(&client, claims[0].id, "state", "completed"), "DONE is lost");
    end();
}

static void starts_full_after_term(void)
{
    starts_full(SIGTERM);
}

static void starts_full_after_kill(void)
{
    starts_full(SIGKILL);
}

/* A disk without one free byte: the server reads, and heals when there is space. */
static void no_byte_free(void)
{
    begin(SMALL_MIB);
    scene_poll(&client, "lang");
    uint64_t option = scene_option(&client, "lang", "Elixir");
    client_expect(&client, "OK 1", "VOTE %" PRIu64, option);
    submit_builds(10);
    for (int run = 0; run < 2; run++) {
        client_close(&client);
        server_kill9(&server);
        if (run == 0) {
            remove_segments_made_ahead();
        }
        small_disk_fill(0);
        server_restart(&server);
        small_disk_fill(0);
        client_open(&client, &server);
        await_readonly(option);
        expect_submits();
        EXPECT(scene_votes(&client, "lang", option) == 1 + (uint64_t)run, "votes");
        EXPECT(server_has_said(&server, "new changes are refused"), "it does not say so");
        small_disk_clear();
        await_vote(option, 2 + (uint64_t)run);
    }
    end();
}

/* The log grows to twice the size of the disk, with a small state. */
static void goes_on(const char *const *with, size_t snapshot_at)
{
    begin_with(MIDDLE_MIB, with);
    client_expect(&client, "OK new", "WORKER w1");
    uint64_t deadline_ms = wait_now_ms() + HEAL_MS;
    for (size_t i = 0; i < MIDDLE_MIB * 2; i++) {
        struct claim claim;
        seed_fill(i, payload, sizeof(payload));
        const struct reply *reply;
        do {
            client_send_blob(&client, "SUBMIT big", payload, sizeof(payload));
            reply = client_next(&client);
        } while (is_readonly(reply, deadline_ms));
        do {
            reply = client_get(&client, "CLAIM w1 big");
        } while (is_readonly(reply, deadline_ms));
        EXPECT(claim_parse(&claim, reply), "CLAIM gave '%s'", reply->line);
        client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64, claim.id, claim.token);
        if (snapshot_at > 0 && (i == snapshot_at || i == snapshot_at * 2)) {
            EXPECT(reply_is_ok(client_get(&client, "SNAPSHOT")), "SNAPSHOT");
        }
    }
    EXPECT(scene_info(&client, "segments_removed") > 0, "nothing has gone");
    printf("  %llu segments removed, %llu snapshots\n",
           (unsigned long long)scene_info(&client, "segments_removed"),
           (unsigned long long)scene_info(&client, "snapshots"));
    restart_with(SIGKILL);
    EXPECT(scene_info(&client, "completed") > 0, "nothing is there");
    end();
}

static void frees_by_itself(void)
{
    static const char *const with[] = {"--threads", "1", "--memory", "64M", NULL};
    goes_on(with, 0);
}

static void frees_what_snapshots_hold(void)
{
    static const char *const with[] = {"--threads",
                                       "1",
                                       "--memory",
                                       "64M",
                                       "--snapshot-bytes",
                                       "0",
                                       "--snapshot-seconds",
                                       "0",
                                       "--retain-bytes",
                                       "0",
                                       "--retain-age",
                                       "0",
                                       NULL};
    goes_on(with, 60);
}

/* The state is more than a third of the disk, and the log still has space. */
static void says_what_it_does_not_make(void)
{
    begin(DISK_MIB);
    submit_builds(260);
    AWAIT(HEAL_MS, server_has_said(&server, "a snapshot is due, and is not made before it has to"),
          "nothing is said; %" PRIu64 " snapshots", scene_info(&client, "snapshots"));
    EXPECT(reply_is_ok(client_get(&client, "SNAPSHOT")), "SNAPSHOT");
    end();
}

static void says_what_it_needs(void)
{
    begin(MIDDLE_MIB);
    uint64_t disk_bytes = (uint64_t)MIDDLE_MIB << 20;
    EXPECT(scene_info(&client, "disk_bytes") == disk_bytes, "disk_bytes");
    EXPECT(scene_info(&client, "retain_bytes") == disk_bytes / 2, "retain_bytes");
    uint64_t needed_bytes = scene_info(&client, "disk_needed_bytes");
    /* 16 MiB and 64 MiB of log, and three small snapshots */
    EXPECT(needed_bytes > (uint64_t)80 << 20 && needed_bytes < (uint64_t)90 << 20,
           "disk_needed_bytes=%" PRIu64, needed_bytes);
    EXPECT(scene_info(&client, "disk_free_bytes") < disk_bytes, "disk_free_bytes");
    EXPECT(server_has_said(&server, "MiB of disk without history"), "it does not say so");
    end();
}

/* The disk has space, but no inode for a file in the data directory. */
static void no_inodes(void)
{
    small_disk_init_files(&server, SMALL_MIB, 2);
    server.args = args;
    server_launch(&server);
    int code = server_await_exit(&server);
    EXPECT(code == EXIT_NO_ROOM, "it ended with code %d", code);
    EXPECT(server_has_said(&server, "df -i"), "it does not say what is used up");
    small_disk_fini();
}

static const struct check_test tests[] = {
    {"A full disk is ERR READONLY, reads go on, and freeing space heals it without a restart",
     full_and_healed},
    {"A server that is READONLY starts READONLY after SIGTERM: reads, ends of builds, SNAPSHOT",
     starts_full_after_term},
    {"A server that is READONLY starts READONLY after kill -9: reads, ends of builds, SNAPSHOT",
     starts_full_after_kill},
    {"With no byte free a start serves reads, and heals", no_byte_free},
    {"On a small disk the log goes on: old log goes by itself", frees_by_itself},
    {"On a full disk what two snapshots hold goes, whatever was to be kept",
     frees_what_snapshots_hold},
    {"A snapshot that is held back for lack of room is said, and made when it is asked for",
     says_what_it_does_not_make},
    {"INFO and the start say how much disk it takes", says_what_it_needs},
    {"A start on a disk without inodes says what is used up", no_inodes},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
