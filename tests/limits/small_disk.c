/* A disk of a chosen size for a server under test; it is gone when the test ends. */
#include "tests/limits/small_disk.h"

#include "tests/lib/check.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int disk_fd = -1;
static char ballast[64];

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) {
        close(fd);
    }
    return written;
}

/* Without root a user namespace is needed, where the machine allows one. */
static bool enter_namespace(void)
{
    char users[64], groups[64];
    snprintf(users, sizeof(users), "0 %u 1", (unsigned)getuid());
    snprintf(groups, sizeof(groups), "0 %u 1", (unsigned)getgid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_text("/proc/self/uid_map", users) &&
           write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/gid_map", groups);
}

/*
 * A tmpfs that is mounted nowhere: only its descriptor leads to it, which the server inherits. So
 * it needs no private mount, not even in a chroot, and is gone with the last process.
 */
static int make_disk(unsigned mib, unsigned files)
{
    char size[32], inodes[32];
    snprintf(size, sizeof(size), "%um", mib);
    snprintf(inodes, sizeof(inodes), "%u", files);
    int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
    if (context < 0) {
        return -1;
    }
    int fd = -1;
    if (fsconfig(context, FSCONFIG_SET_STRING, "size", size, 0) == 0 &&
        fsconfig(context, FSCONFIG_SET_STRING, "nr_inodes", inodes, 0) == 0 &&
        fsconfig(context, FSCONFIG_SET_STRING, "mode", "0700", 0) == 0 &&
        fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0) {
        fd = fsmount(context, 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    }
    close(context);
    return fd;
}

static void close_disk(bool failed)
{
    (void)failed;
    small_disk_fini();
}

void small_disk_init(struct server *server, unsigned mib)
{
    small_disk_init_files(server, mib, 1000);
}

void small_disk_init_files(struct server *server, unsigned mib, unsigned files)
{
    server_init(server);
    disk_fd = make_disk(mib, files);
    if (disk_fd < 0 && enter_namespace()) {
        disk_fd = make_disk(mib, files);
    }
    if (disk_fd < 0) {
        check_skip("cannot make a file system for the full disk: %s", strerror(errno));
    }
    static bool registered;
    if (!registered) {
        check_at_end(close_disk);
        registered = true;
    }
    snprintf(server->data, sizeof(server->data), "/proc/self/fd/%d/data", disk_fd);
    snprintf(ballast, sizeof(ballast), "/proc/self/fd/%d/ballast", disk_fd);
}

void small_disk_fini(void)
{
    if (disk_fd >= 0) {
        close(disk_fd);
    }
    disk_fd = -1;
}

unsigned long small_disk_free_kib(void)
{
    struct statvfs stat;
    EXPECT(fstatvfs(disk_fd, &stat) == 0, "fstatvfs: %s", strerror(errno));
    return (unsigned long)(stat.f_bavail * stat.f_frsize / 1024);
}

void small_disk_fill(unsigned leave_kib)
{
    int fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    EXPECT(fd >= 0, "open %s: %s", ballast, strerror(errno));
    struct stat stat;
    EXPECT(fstat(fd, &stat) == 0, "fstat: %s", strerror(errno));
    off_t size_bytes = stat.st_size;
    unsigned long left_kib;
    /* the server may take space meanwhile, so the free space is read again */
    while ((left_kib = small_disk_free_kib()) > leave_kib) {
        off_t more = (off_t)(left_kib - leave_kib) * 1024;
        while (more >= 4096 && posix_fallocate(fd, size_bytes, more) != 0) {
            more /= 2;
        }
        size_bytes += more;
        if (more < 4096) {
            break;
        }
    }
    close(fd);
    printf("  ballast of %lld MiB\n", (long long)(size_bytes / (1024 * 1024)));
}

void small_disk_clear(void)
{
    EXPECT(unlink(ballast) == 0, "unlink %s: %s", ballast, strerror(errno));
}
