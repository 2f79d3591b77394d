/* A full disk: ERR READONLY, reads go on, and freeing space heals it without a restart. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/proc.h"
#include "tests/lib/scene.h"
#include "tests/lib/seed.h"
#include "tests/lib/server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* The disk has room for a few segments of 64 MiB, and the ballast leaves none for one more. */
enum {
    DISK_MIB = 448,
    PAYLOAD_BYTES = 512 * 1024,
    SUBMITS_MAX = DISK_MIB * 2,
    HEAL_MS = 60000,
};

static struct server server;
static struct client client;
static char ballast[SERVER_PATH_MAX + 64];
static uint64_t ids[SUBMITS_MAX];
static size_t submit_count;
static unsigned char payload[PAYLOAD_BYTES];

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) {
        close(fd);
    }
    return written;
}

/* A mount namespace of our own, so that the file system goes with the last of its processes,
 * whatever happens. Without root it takes a user namespace too, where the machine allows one. */
static void enter_namespace(void)
{
    static bool entered;
    char users[64], groups[64];
    if (entered) {
        return;
    }
    if (unshare(CLONE_NEWNS) != 0) {
        snprintf(users, sizeof(users), "0 %u 1", (unsigned)getuid());
        snprintf(groups, sizeof(groups), "0 %u 1", (unsigned)getgid());
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || !write_text("/proc/self/uid_map", users) ||
            !write_text("/proc/self/setgroups", "deny") ||
            !write_text("/proc/self/gid_map", groups)) {
            check_skip("cannot make a mount namespace: %s", strerror(errno));
        }
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        check_skip("cannot make the mounts private: %s", strerror(errno));
    }
    entered = true;
}

static void mount_disk(void)
{
    char disk[SERVER_PATH_MAX + 16], options[64];
    enter_namespace();
    server_init(&server);
    snprintf(disk, sizeof(disk), "%s/disk", server.home);
    snprintf(options, sizeof(options), "size=%dm,mode=0700", DISK_MIB);
    EXPECT(mkdir(disk, 0700) == 0, "mkdir %s: %s", disk, strerror(errno));
    if (mount("tmpfs", disk, "tmpfs", MS_NOSUID | MS_NODEV, options) != 0) {
        check_skip("cannot mount a tmpfs: %s", strerror(errno));
    }
    snprintf(server.data, sizeof(server.data), "%s/disk/data", server.home);
    snprintf(ballast, sizeof(ballast), "%s/disk/ballast", server.home);
}

static void unmount_disk(void)
{
    char disk[SERVER_PATH_MAX + 16];
    snprintf(disk, sizeof(disk), "%s/disk", server.home);
    umount2(disk, MNT_DETACH);
}

/* Takes what room there is, up to the last MiB. */
static void drop_ballast(void)
{
    int fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    EXPECT(fd >= 0, "open %s: %s", ballast, strerror(errno));
    off_t size_bytes = 0;
    while (posix_fallocate(fd, size_bytes, 1024 * 1024) == 0) {
        size_bytes += 1024 * 1024;
    }
    close(fd);
    printf("  ballast of %lld MiB\n", (long long)(size_bytes / (1024 * 1024)));
}

/* Submits one build after the other until one is refused, which must be for this reason. */
static void submit_until_full(void)
{
    while (submit_count < SUBMITS_MAX) {
        seed_fill(submit_count, payload, sizeof(payload));
        EXPECT(client_send_blob(&client, "SUBMIT big LEASE 3600000", payload, sizeof(payload)),
               "cut off after %zu builds", submit_count);
        const struct reply *reply = client_next(&client);
        if (!reply_is_ok(reply)) {
            EXPECT(reply_is_err(reply, "READONLY"), "a full disk gave '%s'", reply->line);
            break;
        }
        ids[submit_count++] = line_number(reply->line, 1);
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

/* Full, but serving: nothing new, every read, and the build under way can end. */
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

/* Asks until it is taken: the server looks for room by itself. Each asking is a full round trip. */
static void await_healed(uint64_t option)
{
    uint64_t deadline_ms = proc_now_ms() + HEAL_MS;
    const struct reply *reply;
    do {
        reply = client_get(&client, "VOTE %" PRIu64, option);
        EXPECT(reply_is(reply, "OK 2") || reply_is_err(reply, "READONLY"), "VOTE gave '%s'",
               reply->line);
        EXPECT(proc_left_ms(deadline_ms) > 0, "not healed in %d ms", HEAL_MS);
    } while (!reply_is(reply, "OK 2"));
}

static void full_and_healed(void)
{
    struct claim held;
    submit_count = 0;
    mount_disk();
    server_restart(&server);
    client_open(&client, &server);
    scene_poll(&client, "lang");
    uint64_t option = scene_option(&client, "lang", "Elixir");
    client_expect(&client, "OK 1", "VOTE %" PRIu64, option);
    scene_worker(&client, "w1");
    scene_submit(&client, "small", "LEASE 3600000", "held");
    scene_claim(&held, &client, "w1", "small");

    drop_ballast();
    submit_until_full();
    expect_readonly(option, &held);
    EXPECT(unlink(ballast) == 0, "unlink %s: %s", ballast, strerror(errno));
    await_healed(option);
    scene_submit(&client, "small", "", "after");
    expect_submits();

    server_crash(&server);
    client_close(&client);
    client_open(&client, &server);
    expect_submits();
    EXPECT(scene_votes(&client, "lang", option) == 2, "the crash changed the count");
    EXPECT(scene_build_has(&client, held.id, "state", "completed"), "the end of a build is lost");
    client_expect(&client, "OK 3", "VOTE %" PRIu64, option);
    client_close(&client);
    int code = server_term(&server);
    EXPECT(code == 0, "SIGTERM ended it with code %d", code);
    unmount_disk();
}

static const struct check_test tests[] = {
    {"A full disk is ERR READONLY, reads go on, and freeing space heals it without a restart",
     full_and_healed},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, CHECK_COUNT(tests));
}
