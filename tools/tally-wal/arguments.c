/* The command line of tally-wal: a table of commands, each with its options and its help. */
#include "tools/tally-wal/arguments.h"

#include "tools/tally-wal/moment.h"
#include "wal/base/number.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>

const char *argp_program_version = "tally-wal " TALLY_VERSION;

enum { KEY_FROM = 256, KEY_TO, KEY_SINCE, KEY_UNTIL, KEY_TYPE, KEY_OPTION, KEY_BUILD, KEY_INTO };

#define EXIT_CODES                                                                                 \
    "Exit codes: 0 the log is whole, 4 it ends in a torn tail, 5 it is damaged, 64 wrong usage, "  \
    "66 there is no log, 74 it cannot be read, 75 retention took records of a running server "     \
    "before they were read."

static const struct argp_option dump_options[] = {
    {"from", KEY_FROM, "LSN", 0, "Begin at this record", 0},
    {"to", KEY_TO, "LSN", 0, "End behind this record", 0},
    {"since", KEY_SINCE, "TIME", 0, "Begin at this time", 0},
    {"until", KEY_UNTIL, "TIME", 0, "End behind this time", 0},
    {"type", KEY_TYPE, "TYPE[,TYPE]", 0, "Only records of these types: VOTE, SUBMIT, CLAIM, ...",
     0},
    {"option", KEY_OPTION, "ID|POLL/LABEL", 0, "Only what is about this option", 0},
    {"build", KEY_BUILD, "ID", 0, "Only what is about this build", 0},
    {"json", 'j', NULL, 0, "One JSON object a line", 0},
    {"follow", 'f', NULL, 0, "Go on with what comes, until SIGINT or a closed pipe", 0},
    {0},
};

static const struct argp_option json_options[] = {
    {"json", 'j', NULL, 0, "One JSON object", 0},
    {0},
};

static const struct argp_option replay_options[] = {
    {"until", KEY_UNTIL, "LSN|TIME", 0, "The last record that counts; digits alone are an LSN", 0},
    {"into", KEY_INTO, "NEWDIR", 0, "Where the log goes; must not exist, or be empty", 0},
    {0},
};

static const char dump_doc[] =
    "Prints one line for each record: lsn, wall time in ms, type, key=value ...\v"
    "TIME is 2026-11-21T10:00:00Z or milliseconds since 1970. --option and --build together show "
    "what is about the one or the other; all else must hold together.\n\n"
    "With --json, bytes that are UTF-8 are a string under their name, others base64 under "
    "NAME_base64; payload and result, which a plain line only counts, are there in full.\n\n"
    "Exit codes: 0 all that was asked for was read, and so always with --follow that was told to "
    "end; 4 the log ends in a torn tail, 5 it is damaged, 64 wrong usage, 66 there is no log, 74 "
    "it cannot be read, 75 records left the log by retention before they were read: it says which. "
    "Of a running server, 4 may be the block that is being written.";

static const char stat_doc[] =
    "Says what the log is made of, as a table and three pictures: records by type, how full the "
    "pages of the blocks are, votes over time.\v"
    "The pictures are of block characters where the locale has UTF-8, else of # and . ; they are "
    "as "
    "wide as the terminal, or COLUMNS, or 80. --json has the numbers alone.\n\n" EXIT_CODES;

static const char verify_doc[] =
    "Checks every checksum and what the records mean: every option's votes follow each other, "
    "every build's steps are legal. Loads each snapshot, and compares it with what the log leads "
    "to.\v"
    "Draws a bar on standard error when that is a terminal and it takes long.\n\n" EXIT_CODES
    " Of a running server, 4 may be the block that is being written.";

static const char repair_doc[] =
    "Cuts off a torn tail, as a start of the server would, after it has kept a copy of it in "
    "torn-LSN.bin. Changes nothing in a log that is whole or damaged.\v"
    "Exit codes: 0 repaired, or nothing to repair; 5 damaged: nothing was changed; 64 wrong usage; "
    "66 there is no log; 73 a server has the directory; 74 a file call failed.";

static const char replay_doc[] =
    "Writes a new data directory whose log ends at a moment of the past: the same records with the "
    "same lsns and times, for `tallyd --data NEWDIR`.\v"
    "TIME is 2026-11-21T10:00:00Z, or milliseconds since 1970 with ms behind them. NEWDIR appears "
    "when it is whole and on disk, or not at all. Where the log has lost its beginning, "
    "NEWDIR begins with a copy of the oldest snapshot; it says which moment is the earliest.\n\n"
    "Exit codes: 0 done; 5 the log is damaged before that moment; 64 wrong usage, or the log does "
    "not reach it, or not any more; 66 there is no log; 73 NEWDIR is there and is not empty; 74 a "
    "file call failed; 75 retention took records before they were copied: run it again.";

static const struct subcommand {
    const char *name;
    int (*run)(const struct settings *settings);
    const struct argp_option *options; /* NULL: none of its own */
    const char *doc;
} commands[] = {
    {"dump", command_dump, dump_options, dump_doc},
    {"stat", command_stat, json_options, stat_doc},
    {"verify", command_verify, json_options, verify_doc},
    {"repair", command_repair, NULL, repair_doc},
    {"replay", command_replay, replay_options, replay_doc},
};

struct parse {
    const struct subcommand *command;
    struct settings *settings;
};

/* ---- the arguments of options ---- */

static uint64_t need_number(const char *arg, struct argp_state *state, const char *what)
{
    uint64_t number = 0;
    if (!number_parse(arg, &number) || number == 0) {
        argp_error(state, "%s is a number from 1 on, not '%s'", what, arg);
    }
    return number;
}

static uint64_t need_time(const char *arg, struct argp_state *state)
{
    uint64_t time_ms = 0;
    if (!moment_parse(arg, &time_ms)) {
        argp_error(state, "a time is 2026-11-21T10:00:00Z or milliseconds since 1970, not '%s'",
                   arg);
    }
    return time_ms;
}

/* Takes --until of replay, where a plain number is an lsn. */
static void take_until(const char *arg, struct argp_state *state, struct settings *settings)
{
    uint64_t lsn;
    settings->until_lsn = UINT64_MAX;
    settings->until_ms = UINT64_MAX;
    if (number_parse(arg, &lsn)) {
        settings->until_lsn = need_number(arg, state, "--until");
    } else {
        settings->until_ms = need_time(arg, state);
    }
}

static error_t take_filter(int key, char *arg, struct argp_state *state)
{
    const struct parse *parse = state->input;
    struct filter *filter = &parse->settings->filter;
    switch (key) {
    case KEY_FROM:
        filter->from_lsn = need_number(arg, state, "--from");
        return 0;
    case KEY_TO:
        filter->to_lsn = need_number(arg, state, "--to");
        return 0;
    case KEY_SINCE:
        filter->since_ms = need_time(arg, state);
        return 0;
    case KEY_UNTIL:
        filter->until_ms = need_time(arg, state);
        return 0;
    case KEY_TYPE:
        if (filter_types(filter, arg) != NULL) {
            argp_error(state, "no type of record at '%s'", filter_types(filter, arg));
        }
        return 0;
    case KEY_OPTION:
        if (!filter_option(filter, arg)) {
            argp_error(state, "an option is an id or poll/label, not '%s'", arg);
        }
        return 0;
    case KEY_BUILD:
        filter->build = need_number(arg, state, "--build");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void check_all_there(const struct parse *parse, struct argp_state *state)
{
    const struct settings *settings = parse->settings;
    if (settings->dir == NULL) {
        argp_error(state, "which DIRECTORY?");
    }
    if (parse->command->run == command_replay &&
        (settings->into == NULL || (settings->until_lsn == 0 && settings->until_ms == 0))) {
        argp_error(state, "--until and --into are needed");
    }
}

/* An option reaches this only if the command's table has it. */
static error_t take_option(int key, char *arg, struct argp_state *state)
{
    const struct parse *parse = state->input;
    struct settings *settings = parse->settings;
    switch (key) {
    case 'j':
        settings->is_json = true;
        return 0;
    case 'f':
        settings->follows = true;
        return 0;
    case KEY_INTO:
        settings->into = arg;
        return 0;
    case KEY_UNTIL:
        if (parse->command->run == command_replay) {
            take_until(arg, state, settings);
            return 0;
        }
        return take_filter(key, arg, state);
    case ARGP_KEY_ARG:
        if (settings->dir != NULL) {
            argp_error(state, "one DIRECTORY, not '%s' too", arg);
        }
        settings->dir = arg;
        return 0;
    case ARGP_KEY_END:
        check_all_there(parse, state);
        return 0;
    default:
        return take_filter(key, arg, state);
    }
}

/* ---- the commands ---- */

static const char doc[] =
    "Looks into the log of a data directory, also of a running server, which it never disturbs. "
    "Changes nothing, but for `repair`.\n\n"
    "  dump      one line for each record; with --follow also those that come\n"
    "  stat      what the log is made of, as numbers and as pictures\n"
    "  verify    checksums, and what the records and the snapshots mean\n"
    "  repair    cuts off a torn tail and keeps a copy; a damaged log it leaves alone\n"
    "  replay    a new directory that ends at a past lsn or time\n\n"
    "`tally-wal COMMAND --help` has the options of each.\v"
    "Exit codes: 0 the log is whole, 4 it ends in a torn tail, 5 it is damaged, 64 wrong usage, "
    "73 a server has the directory, or the new one is not empty, 74 it cannot be read, 75 "
    "retention took records of a running server before they were read.";

static const struct subcommand *command_of(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* Stops at the command: the arguments behind it belong to the command. */
static error_t take_command(int key, char *arg, struct argp_state *state)
{
    struct parse *parse = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        parse->command = command_of(arg);
        if (parse->command == NULL) {
            argp_error(state, "there is no command '%s'", arg);
        }
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int (*arguments_read(int argc, char **argv, struct settings *settings))(const struct settings *)
{
    static char name[32];
    struct parse parse = {.settings = settings};
    const struct argp all = {NULL, take_command, "COMMAND DIRECTORY [OPTION...]", doc, NULL,
                             NULL, NULL};
    *settings = (struct settings){.dir = NULL};
    filter_init(&settings->filter);
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&all, argc, argv, ARGP_IN_ORDER, NULL, &parse);

    /* tally-wal's own options end the process, so the command is the first word */
    const struct argp one = {
        parse.command->options, take_option, "DIRECTORY", parse.command->doc, NULL, NULL, NULL};
    snprintf(name, sizeof name, "tally-wal %s", parse.command->name);
    argv[1] = name;
    argp_parse(&one, argc - 1, argv + 1, 0, NULL, &parse);
    return parse.command->run;
}
