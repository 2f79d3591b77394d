/* Rules about the house: which room sees which, no circles, one name for one thing. */
#include "tests/tidy/tidy.h"
#include "tests/lib/count.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define PREFIXES_MAX 10
/*
 * The rooms of each layer, lowest first: a file sees its own room and those above it in this list.
 * The first row that fits counts, so a folder stands before the one it lies in.
 */
static const char *const rooms[] = {
    /* the log */
    "wal/base/", "wal/types.h", "wal/disk/", "wal/format/", "wal/files/", "wal/read/", "wal/write/",
    "wal/recover/", "wal/background/", "wal/",
    /* the engine; its contract stands where what it names stands */
    "engine/limits.h", "engine/tally.h", "engine/base/", "engine/log/", "engine/edge.h",
    "engine/read.h", "engine/state/", "engine/apply/", "engine/events/", "engine/start/",
    "engine/edge/", "engine/commit/", "engine/",
    /* the server */
    "net/protocol/", "net/listen/", "net/pipeline/", "net/commands/", "net/io/", "net/"};

/* Its place in the list; COUNT_OF(rooms) for what is in no room. */
static size_t room_of(const char *path)
{
    size_t i = 0;
    while (i < COUNT_OF(rooms) && strncmp(path, rooms[i], strlen(rooms[i])) != 0)
        i++;
    return i;
}

static bool is_same_layer(const char *a, const char *b)
{
    return strncmp(a, b, strcspn(a, "/") + 1) == 0;
}

void rule_arrows(const struct tree *tree, const struct source *source, struct report *report)
{
    (void)tree;
    size_t mine = room_of(source->path);
    char name[SOURCE_NAME_BYTES];
    for (size_t n = 1; n <= source->lines && mine < COUNT_OF(rooms); n++) {
        if (!source_include(source, n, name, '"') || !is_same_layer(source->path, name))
            continue;
        size_t theirs = room_of(name);
        if (theirs > mine)
            report_add(report, source, n,
                       "an arrow up: %s must not see \"%s\", which is in %s; move what both need "
                       "into the lower room, or hand it in",
                       rooms[mine], name, rooms[theirs]);
    }
}

static const struct source *find(const struct tree *tree, const char *path)
{
    for (size_t i = 0; i < tree->count; i++) {
        if (strcmp(tree->sources[i].path, path) == 0)
            return &tree->sources[i];
    }
    return NULL;
}

/* Whether `from` includes `to`, itself or through others. `seen` marks those that were asked. */
static bool leads_to(const struct tree *tree, const struct source *from, const struct source *to,
                     bool *seen)
{
    char name[SOURCE_NAME_BYTES];
    seen[from - tree->sources] = true;
    for (size_t n = 1; n <= from->lines; n++) {
        const struct source *next = source_include(from, n, name, '"') ? find(tree, name) : NULL;
        if (next == to)
            return true;
        if (next != NULL && !seen[next - tree->sources] && leads_to(tree, next, to, seen))
            return true;
    }
    return false;
}

void rule_circles(const struct tree *tree, const struct source *source, struct report *report)
{
    char name[SOURCE_NAME_BYTES];
    for (size_t n = 1; n <= source->lines; n++) {
        const struct source *next = source_include(source, n, name, '"') ? find(tree, name) : NULL;
        if (next == NULL)
            continue;
        bool *seen = calloc(tree->count, sizeof(*seen));
        if (next == source || (seen != NULL && leads_to(tree, next, source, seen)))
            report_add(report, source, n,
                       "a circle: \"%s\" comes back to this file; take what both need into a third",
                       name);
        free(seen);
    }
}

/* One definition of a struct, union or enum with a name. */
struct tag {
    const struct source *source;
    size_t at; /* of the name, in the source's flow */
    size_t len;
};

struct tags {
    struct tag *at;
    size_t count;
    size_t capacity;
};

static void tags_add(struct tags *tags, struct tag tag)
{
    if (tags->count == tags->capacity) {
        tags->capacity = tags->capacity == 0 ? 256 : tags->capacity * 2;
        tags->at = reallocarray(tags->at, tags->capacity, sizeof(*tags->at));
        if (tags->at == NULL)
            abort();
    }
    tags->at[tags->count++] = tag;
}

static void tags_of(const struct source *source, struct tags *tags)
{
    const char *flow = source->flow;
    size_t at = 0;
    size_t start;
    size_t len;
    bool is_tag = false;
    while (word_next(flow, &at, &start, &len)) {
        bool opens = flow[start + len + strspn(flow + start + len, " \n")] == '{';
        if (is_tag && opens)
            tags_add(tags, (struct tag){source, start, len});
        is_tag = word_is(flow, start, len, "struct") || word_is(flow, start, len, "union") ||
                 word_is(flow, start, len, "enum");
    }
}

static int by_name(const void *a, const void *b)
{
    const struct tag *x = a;
    const struct tag *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = strncmp(x->source->flow + x->at, y->source->flow + y->at, len);
    if (order != 0)
        return order;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return x->source < y->source ? -1 : x->source > y->source;
}

/* Tests are programs of their own: what they define is told apart among themselves. */
static void find_twins(const struct tree *tree, bool in_tests, struct report *report)
{
    struct tags tags = {NULL, 0, 0};
    for (size_t i = 0; i < tree->count; i++) {
        const struct source *source = &tree->sources[i];
        bool is_c = source->kind == SOURCE_C || source->kind == SOURCE_HEADER;
        if (is_c && source_is_under(source, "tests/") == in_tests)
            tags_of(source, &tags);
    }
    if (tags.count > 0)
        qsort(tags.at, tags.count, sizeof(*tags.at), by_name);
    for (size_t i = 1; i < tags.count; i++) {
        const struct tag *one = &tags.at[i - 1];
        const struct tag *two = &tags.at[i];
        const char *name = two->source->flow + two->at;
        if (one->len == two->len && strncmp(one->source->flow + one->at, name, two->len) == 0)
            report_add(report, two->source, source_line(two->source, two->at),
                       "two things are called %.*s, the other one in %s: name what each is",
                       (int)two->len, name, one->source->path);
    }
    free(tags.at);
}

/* Reads the whole tree when it comes to the first source. */
void rule_twins(const struct tree *tree, const struct source *source, struct report *report)
{
    if (source != tree->sources)
        return;
    find_twins(tree, false, report);
    find_twins(tree, true, report);
}

/*
 * Prefixes other than the file's own name: of contracts that several files fulfil, and of headers
 * that hold the nouns of a room. One that ends without an underscore is a whole name.
 */
static const struct module {
    const char *header;
    const char *prefixes[PREFIXES_MAX];
} modules[] = {
    {"wal/wal.h", {"wal_"}},
    {"wal/base/bytes.h", {"get_", "put_"}},
    {"wal/base/check.h", {"tally_check_failed"}},
    {"wal/base/err.h", {"tally_err_"}},
    {"wal/disk/io.h", {"wal_file_io_"}},
    {"engine/edge.h", {"tally_ledger"}},
    {"engine/read.h", {"edge_"}},
    {"engine/base/label.h", {"name_", "tags_"}},
    {"engine/log/status.h", {"ending_"}},
    {"engine/state/voters_arena.h", {"voters_"}},
    {"engine/state/state.h",
     {"blob_", "build_", "key_of_two", "need_set_", "option_", "poll_", "queue_", "rate_word",
      "window_", "worker_"}},
    {"engine/state/wheel.h", {"timer_ring_"}},
    {"engine/state/word.h", {"build_word", "option_"}},
    {"engine/apply/apply_internal.h", {"apply_"}},
    {"engine/edge/edge_internal.h", {"edge_"}},
    {"net/protocol/parse.h", {"parser_"}},
};

static bool begins(const char *word, size_t len, const char *prefix)
{
    size_t prefix_len = strlen(prefix);
    return len >= prefix_len && strncmp(word, prefix, prefix_len) == 0;
}

/* Whether the word is the module's name, or begins with it and an underscore. */
static bool is_of(const char *word, size_t len, const char *name, size_t name_len)
{
    return len >= name_len && strncmp(word, name, name_len) == 0 &&
           (len == name_len || word[name_len] == '_');
}

static bool has_prefix(const struct source *source, const char *word, size_t len)
{
    for (size_t i = 0; i < COUNT_OF(modules); i++) {
        const struct module *module = &modules[i];
        if (strcmp(source->path, module->header) != 0)
            continue;
        for (size_t k = 0; k < COUNT_OF(module->prefixes) && module->prefixes[k] != NULL; k++) {
            if (begins(word, len, module->prefixes[k]))
                return true;
        }
    }
    const char *base = strrchr(source->path, '/') + 1;
    size_t base_len = strcspn(base, ".");
    bool is_log = source_is_under(source, "wal/") && !source_is_under(source, "wal/base/");
    if (is_log && begins(word, len, "wal_"))
        return is_of(word + 4, len - 4, base, base_len);
    return !is_log && is_of(word, len, base, base_len);
}

/* The depth in braces and parentheses behind the byte. */
static int depth_after(int depth, char c)
{
    return depth + (c == '{' || c == '(') - (c == '}' || c == ')');
}

void rule_prefixes(const struct tree *tree, const struct source *source, struct report *report)
{
    (void)tree;
    if (room_of(source->path) == COUNT_OF(rooms))
        return;
    const char *flow = source->flow;
    size_t at = 0;
    size_t start;
    size_t len;
    size_t from = 0;
    int depth = 0;
    bool is_declared = false; /* a type stands before it */
    while (word_next(flow, &at, &start, &len)) {
        for (; from < start; from++) {
            depth = depth_after(depth, flow[from]);
            if (flow[from] == ';' || flow[from] == '}')
                is_declared = false;
        }
        bool is_lower = islower((unsigned char)flow[start]) != 0;
        if (depth == 0 && is_declared && is_lower && flow[at] == '(' &&
            !has_prefix(source, flow + start, len))
            report_add(report, source, source_line(source, start),
                       "%.*s is public and does not say whose it is: begin it with the name of its "
                       "file, or give the header a row in rules_rooms.c",
                       (int)len, flow + start);
        is_declared = true;
    }
}
