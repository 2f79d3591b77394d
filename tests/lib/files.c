/* Directories of a test's own, and whole files. */
#include "tests/lib/files.h"

#include "tests/lib/expect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_STEP_BYTES = 65536, OPEN_DIRS_MAX = 16 };

void files_temp_dir(char *path, size_t capacity)
{
    const char *base = getenv("TMPDIR");
    int length = snprintf(path, capacity, "%s/tally-test-XXXXXX",
                          base != NULL && base[0] != '\0' ? base : "/tmp");
    EXPECT(length > 0 && (size_t)length < capacity, "TMPDIR is too long");
    EXPECT(mkdtemp(path) != NULL, "mkdtemp %s: %m", path);
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    (void)stat;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int remove_below(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    return ftw->level == 0 ? 0 : remove_entry(path, stat, type, ftw);
}

bool files_remove_tree(const char *path)
{
    return nftw(path, remove_entry, OPEN_DIRS_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0;
}

void files_clear(const char *path)
{
    int err = nftw(path, remove_below, OPEN_DIRS_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    EXPECT(err == 0, "cannot clear %s: %m", path);
}

size_t files_count(const char *path)
{
    size_t count = 0;
    DIR *dir = opendir(path);
    EXPECT(dir != NULL, "opendir %s: %m", path);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(dir);
    return count;
}

char *files_read_fd(int fd, size_t *len)
{
    size_t used = 0, capacity = READ_STEP_BYTES;
    char *bytes = malloc(capacity + 1);
    for (;;) {
        EXPECT(bytes != NULL, "no memory for %zu bytes", capacity);
        ssize_t got = read(fd, bytes + used, capacity - used);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        used += (size_t)got;
        if (used == capacity) {
            capacity *= 2;
            bytes = realloc(bytes, capacity + 1);
        }
    }
    bytes[used] = '\0';
    if (len != NULL) {
        *len = used;
    }
    return bytes;
}

char *files_read(const char *path, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    char *bytes = files_read_fd(fd, len);
    close(fd);
    return bytes;
}

void files_write(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    EXPECT(fd >= 0, "open %s: %m", path);
    EXPECT(write(fd, bytes, len) == (ssize_t)len, "write %s: %m", path);
    close(fd);
}
