/* The rule that bytes from outside are spans: C's string calls only where a C string is named. */
#include "tests/tidy/tidy.h"
#include "tests/lib/count.h"

#include <string.h>

/* Begin with `str`, but read no string that could be somebody else's, or are banned anyway. */
static const char *const harmless[] = {
    "strcpy",     "strcat",          "strncpy",         "strtok",    "strerror",
    "strerror_r", "strerrordesc_np", "strerrorname_np", "strsignal", "strftime",
};

/* Where strings end in a NUL because we, the compiler, the kernel or the command line made them so;
 * whose they are stands beside them. What a client or a file has said is never among them. */
static const struct c_string {
    const char *path;
    const char *call; /* "" is every call: the file has no bytes from outside */
    const char *whose;
} c_strings[] = {
    {"wal/base/span.h", "", "span_of itself: what its callers have is a C string"},
    {"wal/base/number.c", "strtoull", "a word of the command line"},
    {"wal/disk/file.c", "strchr", "names of files that we have made up"},
    {"wal/format/name.c", "", "names of files, from the kernel"},
    {"wal/format/segment.c", "", "as name.c"},
    {"wal/read/report.c", "strlen", "the text of a report, written by snprintf"},
    {"engine/log/record.c", "", "the table of records"},
    {"engine/edge/session.c", "span_of", "names that the program calling the library gives"},
    {"engine/example.c", "span_of", "its own literals"},
    {"engine/base/machine.c", "", "files of the kernel about this process"},
    {"net/protocol/reply.c", "strlen", "literals, keys of fields, names of errors"},
    {"net/pipeline/auth.c", "strlen", "the key, as the operator has given it"},
    {"net/listen/address.c", "", "--bind, from the command line"},
    {"net/listen/listener.c", "strchr", "an address, from getnameinfo"},
    {"net/commands/cmd_server.c", "span_of", "the table of commands"},
    {"net/commands/cmd_poll.c", "span_of", "names of modes"},
    {"net/commands/cmd_show.c", "span_of", "names of states"},
    {"net/commands/cmd_events.c", "span_of", "names of states and types"},
    {"tools/tallyd/main.c", "", "the command line, the environment, the key's file"},
    {"tools/tally-wal/arguments.c", "", "the command line"},
    {"tools/tally-wal/moment.c", "", "a word of the command line"},
    {"tools/tally-wal/filter.c", "", "words of the command line"},
    {"tools/tally-wal/newdir.c", "", "a path of the command line, names from the kernel"},
    {"tools/tally-wal/object.c", "span_of", "a line that jansson has written"},
    {"tools/tally-wal/picture.c", "strcmp", "the name of the locale's character set"},
    {"tools/tally-wal/verify.c", "span_of", "our own messages"},
    {"tools/tally-wal/dump.c", "span_of",
     "names of states, modes, errors and types; a time that was formatted"},
};

static bool is_string_call(const char *code, size_t start, size_t len)
{
    bool is_one =
        (len > 3 && strncmp(code + start, "str", 3) == 0) || word_is(code, start, len, "span_of");
    for (size_t i = 0; i < COUNT_OF(harmless); i++) {
        is_one = is_one && !word_is(code, start, len, harmless[i]);
    }
    return is_one;
}

static bool is_named(const struct source *source, size_t start, size_t len)
{
    for (size_t i = 0; i < COUNT_OF(c_strings); i++) {
        const struct c_string *named = &c_strings[i];
        if (strcmp(source->path, named->path) == 0 &&
            (named->call[0] == '\0' || word_is(source->code, start, len, named->call)))
            return true;
    }
    return false;
}

void rule_strings(const struct tree *tree, const struct source *source, struct report *report)
{
    (void)tree;
    static const char *const folders[] = {"net/", "engine/", "wal/", "tools/"};
    bool is_ours = false;
    for (size_t i = 0; i < COUNT_OF(folders); i++)
        is_ours = is_ours || source_is_under(source, folders[i]);
    size_t at = 0;
    size_t start;
    size_t len;
    while (is_ours && word_next(source->code, &at, &start, &len)) {
        if (!word_is_called(source->code, start, len) ||
            !is_string_call(source->code, start, len) || is_named(source, start, len))
            continue;
        report_add(report, source, source_line(source, start),
                   "%.*s() stops at a NUL or runs on behind the end: bytes from outside are a "
                   "struct span (span_equal, memchr, memcpy); a C string of our own is named in "
                   "c_strings of tests/tidy/rules_strings.c, with whose it is",
                   (int)len, source->code + start);
    }
}
