/* Reading the log with the inspector. */
#include "tests/lib/dump.h"

#include "tests/lib/check.h"
#include "tests/lib/proc.h"

#include <stdio.h>
#include <stdlib.h>

static const char *inspector(void)
{
    const char *path = getenv("TALLY_WAL");
    EXPECT(path != NULL, "TALLY_WAL is not set: it names the log inspector");
    return path;
}

static char *dump_as(const struct server *server, const char *option)
{
    const char *argv[] = {inspector(), "dump", server->data, option, NULL};
    char *text = NULL;
    int code = proc_run(argv, &text);
    /* 4 is a torn tail: what a kill leaves behind before the next start mends it */
    EXPECT(code == 0 || code == 4, "tally-wal dump ended with code %d", code);
    EXPECT(text != NULL, "no output");
    return text;
}

char *dump_text(const struct server *server)
{
    return dump_as(server, NULL);
}

char *dump_json(const struct server *server)
{
    return dump_as(server, "--json");
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
