/* tally-wal repair: keeps a copy of a torn tail and clears it, as a start of the server does. */
#include "tools/tally-wal/commands.h"
#include "tools/tally-wal/inspector.h"
#include "wal/base/err.h"

#include <stdio.h>

/* Repairs the log. If there is none, no file is made, not even the lock's. */
static int repair(struct inspector *inspector)
{
    if (inspector->segment_files == 0) {
        return inspector_run(inspector);
    }
    return wal_repair(inspector->io, inspector_see_block, inspector, &inspector->report);
}

int command_repair(const struct settings *settings)
{
    struct inspector *inspector = inspector_new(settings->dir, "reading");
    if (inspector == NULL) {
        return EXIT_UNREADABLE;
    }
    int err = repair(inspector);
    progress_end(&inspector->progress);
    const char *text = inspector_text(inspector, err);
    int code = inspector_code(inspector, err);
    if (err == 0 && code != EXIT_MISSING) {
        bool is_torn = inspector->report.end == WAL_END_TORN;
        printf("%s: %s\n", is_torn ? "repaired" : "nothing to repair", text);
        code = EXIT_WHOLE;
    } else if (code == EXIT_DAMAGE) {
        fprintf(stderr, "tally-wal: %s; nothing was changed\n", text);
    } else {
        fprintf(stderr, "tally-wal: %s\n", text);
    }
    inspector_destroy(inspector);
    return code;
}
