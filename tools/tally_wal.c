/* tally-wal: reads a log as recovery does and tells what is in it; changes nothing. */
#include "tools/inspect.h"

#include <argp.h>
#include <string.h>

const char *argp_program_version = "tally-wal " TALLY_VERSION;

struct settings {
    const char *command;
    const char *dir;
};

enum { EXIT_USAGE = 64 };

static const char doc[] =
    "Looks into the log of a data directory, also of a running server.\n\n"
    "  dump      one line for each record: lsn, wall time in ms, type, key=value ...\n"
    "  verify    checksums and meaning: every option's votes follow each other, every build's "
    "steps "
    "are legal\v"
    "Exit codes: 0 the log is whole, 4 it ends in a torn tail, 5 it is damaged, 64 wrong usage, "
    "74 it cannot be read.";

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct settings *settings = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (state->arg_num == 0) {
            settings->command = arg;
        } else if (state->arg_num == 1) {
            settings->dir = arg;
        } else {
            argp_usage(state);
        }
        return 0;
    case ARGP_KEY_END:
        if (settings->dir == NULL ||
            (strcmp(settings->command, "dump") != 0 && strcmp(settings->command, "verify") != 0)) {
            argp_usage(state);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    const struct argp argp = {NULL, parse_option, "dump|verify DIRECTORY", doc, NULL, NULL, NULL};
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &settings);
    return inspect(settings.dir, strcmp(settings.command, "dump") == 0);
}
