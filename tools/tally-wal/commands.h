/* The commands of tally-wal, and the settings that the command line gives them. */
#ifndef TALLY_TOOLS_TALLY_WAL_COMMANDS_H
#define TALLY_TOOLS_TALLY_WAL_COMMANDS_H

#include "tools/tally-wal/exit.h"
#include "tools/tally-wal/filter.h"

#include <stdbool.h>
#include <stdint.h>

struct settings {
    const char *dir;
    bool is_json;
    bool follows;
    struct filter filter; /* of dump */
    const char *into;     /* of replay: the new directory */
    uint64_t until_lsn;   /* of replay: one of the two, the other is UINT64_MAX */
    uint64_t until_ms;
};

/* Each runs its command to the end, and returns the exit code. */
int command_dump(const struct settings *settings);
int command_stat(const struct settings *settings);
int command_verify(const struct settings *settings);
int command_repair(const struct settings *settings);
int command_replay(const struct settings *settings);

#endif
