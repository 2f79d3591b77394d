/* Rules about who may see whom: layers, the one file that fences each foreign library, calls on
 * files. */
#include "tests/tidy/tidy.h"
#include "tests/lib/count.h"

#include <string.h>

#define FOLDERS_MAX 4

/* Who sees what. The rooms inside of a layer: rules_rooms.c. */
static const struct layer {
    const char *folder;
    const char *sees[FOLDERS_MAX]; /* "" is everything */
    const char *words;
} layers[] = {
    {"wal/", {"wal/"}, "wal/ only"},
    {"engine/", {"engine/", "wal/"}, "engine/ and wal/ only"},
    {"net/", {"net/", "engine/", "wal/base/"}, "net/, engine/ and wal/base/ only"},
    {"tools/", {""}, ""},
    {"bench/", {""}, ""},
    {"tests/", {""}, ""},
};

static const struct fence {
    const char *header; /* the beginning of its name */
    const char *inside[FOLDERS_MAX];
    const char *words;
} fences[] = {
    {"urcu", {"engine/base/rcu.h", "engine/base/rcu.c"}, "include engine/base/rcu.h"},
    {"lz4", {"wal/format/codec.c"}, "call wal/format/codec.h"},
    {"xxhash.h",
     {"wal/format/codec.c", "wal/checksum.c"},
     "call what wal/format/codec.c or wal/checksum.c offers"},
    {"sys/epoll.h", {"net/io/loop.c"}, "call net/io/loop.h"},
    {"utf8proc.h", {"engine/base/label.c"}, "call engine/base/label.h"},
    {"jansson.h", {"tools/tally-wal/object.c"}, "call tools/tally-wal/object.h"},
};

static const char *const file_calls[] = {
    "open",      "openat", "creat",           "fopen",     "fdopen",   "opendir",
    "fdopendir", "read",   "pread",           "preadv",    "write",    "pwrite",
    "pwritev",   "close",  "fsync",           "fdatasync", "syncfs",   "sync_file_range",
    "fallocate", "mmap",   "posix_fallocate", "ftruncate", "truncate", "rename",
    "renameat",  "link",   "unlink",          "unlinkat",  "mkdir",    "mkdirat",
    "rmdir",     "flock",  "lockf",           "fcntl",     "ioctl",    "stat",
    "fstat",     "lstat",  "fstatat",         "statvfs",   "fstatvfs", "lseek",
};

static const struct layer *layer_of(const struct source *source)
{
    for (size_t i = 0; i < COUNT_OF(layers); i++) {
        if (source_is_under(source, layers[i].folder))
            return &layers[i];
    }
    return NULL;
}

static bool is_one_of(const char *path, const char *const *beginnings)
{
    for (size_t i = 0; i < FOLDERS_MAX && beginnings[i] != NULL; i++) {
        if (strncmp(path, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    }
    return false;
}

static bool is_in_tree(const struct tree *tree, const char *path)
{
    for (size_t i = 0; i < tree->count; i++) {
        if (strcmp(tree->sources[i].path, path) == 0)
            return true;
    }
    return false;
}

void rule_layers(const struct tree *tree, const struct source *source, struct report *report)
{
    const struct layer *layer = layer_of(source);
    if (layer == NULL) {
        report_add(report, source, 1,
                   "is in no layer: move it into one of wal, engine, net, "
                   "tools, bench, tests");
        return;
    }
    char name[SOURCE_NAME_BYTES];
    for (size_t n = 1; n <= source->lines; n++) {
        if (!source_include(source, n, name, '"'))
            continue;
        if (!is_in_tree(tree, name))
            report_add(report, source, n,
                       "\"%s\" is no file of ours: write the path from the root, "
                       "or <%s> if it is foreign",
                       name, name);
        else if (!is_one_of(name, layer->sees))
            report_add(report, source, n,
                       "%s must not see \"%s\": it sees %s; move the code, or "
                       "hand in what it needs as an argument",
                       layer->folder, name, layer->words);
    }
}

/* tests/ and bench/ stand outside of the fences: a client has a loop of its own, a test makes
 * damaged blocks. */
void rule_fences(const struct tree *tree, const struct source *source, struct report *report)
{
    (void)tree;
    if (source_is_under(source, "tests/") || source_is_under(source, "bench/"))
        return;
    char name[SOURCE_NAME_BYTES];
    for (size_t n = 1; n <= source->lines; n++) {
        if (!source_include(source, n, name, '<'))
            continue;
        for (size_t i = 0; i < COUNT_OF(fences); i++) {
            const struct fence *fence = &fences[i];
            bool fenced = strncmp(name, fence->header, strlen(fence->header)) == 0;
            if (fenced && !is_one_of(source->path, fence->inside))
                report_add(report, source, n, "<%s> is fenced in by %s: %s", name, fence->inside[0],
                           fence->words);
        }
    }
}

void rule_file_calls(const struct tree *tree, const struct source *source, struct report *report)
{
    (void)tree;
    if (!source_is_under(source, "wal/") || strcmp(source->path, "wal/disk/file.c") == 0)
        return;
    size_t at = 0;
    size_t start;
    size_t len;
    while (word_next(source->flow, &at, &start, &len)) {
        if (!word_is_called(source->flow, start, len))
            continue;
        for (size_t i = 0; i < COUNT_OF(file_calls); i++) {
            if (word_is(source->flow, start, len, file_calls[i]))
                report_add(report, source, source_line(source, start),
                           "%s() outside of wal/disk/file.c: go through struct wal_io, so that the "
                           "simulated disk sees it",
                           file_calls[i]);
        }
    }
}

/* Who may ask the machine for the time: rule "One clock" of engine/README.md. */
static const struct clock_call {
    const char *call;
    const char *inside[FOLDERS_MAX];
    const char *words;
} clock_calls[] = {
    {"clock_wall_ms",
     {"engine/base/time.c", "wal/base/clock."},
     "only engine/base/time.c asks for the wall clock: take log time from it"},
    {"clock_gettime", {"wal/base/clock.c"}, "call clock_mono_ns() of wal/base/clock.h"},
    {"gettimeofday", {"wal/base/clock.c"}, "only engine/base/time.c asks for the wall clock"},
    {"time", {"wal/base/clock.c"}, "only engine/base/time.c asks for the wall clock"},
};

void rule_clocks(const struct tree *tree, const struct source *source, struct report *report)
{
    (void)tree;
    if (source_is_under(source, "tests/") || source_is_under(source, "bench/"))
        return;
    size_t at = 0;
    size_t start;
    size_t len;
    while (word_next(source->code, &at, &start, &len)) {
        if (!word_is_called(source->code, start, len))
            continue;
        for (size_t i = 0; i < COUNT_OF(clock_calls); i++) {
            const struct clock_call *clock = &clock_calls[i];
            if (word_is(source->code, start, len, clock->call) &&
                !is_one_of(source->path, clock->inside))
                report_add(report, source, source_line(source, start), "%s(): %s", clock->call,
                           clock->words);
        }
    }
}
