/* Reading the log with the inspector. */
#include "tests/lib/dump.h"

#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/proc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *inspector(void)
{
    const char *path = getenv("TALLY_WAL");
    EXPECT(path != NULL, "TALLY_WAL is not set: it names the log inspector");
    return path;
}

char *dump_text(const struct server *server)
{
    const char *argv[] = {inspector(), "dump", server->data, NULL};
    char *text = NULL;
    int code = proc_run(argv, &text);
    /* 4 is a torn tail: what a kill leaves behind before the next start mends it */
    EXPECT(code == 0 || code == 4, "tally-wal dump ended with code %d", code);
    EXPECT(text != NULL, "no output");
    return text;
}

static uint64_t *slot(struct dump_votes *votes, uint64_t option)
{
    EXPECT(option < 1000000, "option=%llu", (unsigned long long)option);
    if (option >= votes->count) {
        size_t count = (size_t)(option + 1) * 2;
        votes->last = realloc(votes->last, count * sizeof(*votes->last));
        memset(votes->last + votes->count, 0, (count - votes->count) * sizeof(*votes->last));
        votes->count = count;
    }
    return &votes->last[option];
}

static void take_line(struct dump_votes *votes, const char *line)
{
    char type[32];
    if (!line_word(line, 2, type, sizeof(type)) || strcmp(type, "VOTE") != 0) {
        return;
    }
    uint64_t option = line_field_number(line, "option");
    uint64_t after = line_field_number(line, "votes");
    uint64_t n = line_field_number(line, "n");
    EXPECT(option != UINT64_MAX && after != UINT64_MAX && n != UINT64_MAX, "'%s'", line);
    uint64_t *last = slot(votes, option);
    EXPECT(n > 0 && after - n == *last, "'%s' does not continue from %llu", line,
           (unsigned long long)*last);
    *last = after;
}

void dump_votes_read(struct dump_votes *votes, const struct server *server)
{
    char *text = dump_text(server), *rest = text, *line;
    memset(votes, 0, sizeof(*votes));
    while ((line = strsep(&rest, "\n")) != NULL) {
        take_line(votes, line);
    }
    free(text);
}

void dump_votes_fini(struct dump_votes *votes)
{
    free(votes->last);
    memset(votes, 0, sizeof(*votes));
}

void dump_votes_expect(const struct dump_votes *votes, uint64_t option, uint64_t total)
{
    uint64_t last = option < votes->count ? votes->last[option] : 0;
    EXPECT(last == total, "the events of option %llu end at %llu, not at %llu",
           (unsigned long long)option, (unsigned long long)last, (unsigned long long)total);
}

void dump_verify(const struct server *server)
{
    const char *argv[] = {inspector(), "verify", server->data, NULL};
    char *text = NULL;
    int code = proc_run(argv, &text);
    if (code != 0 && text != NULL) {
        printf("  | %s\n", text);
    }
    free(text);
    EXPECT(code == 0, "tally-wal verify ended with code %d", code);
}
