/* The command line of the load generator, read with argp. */
#include "bench/options.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#include "bench/proto.h"

#define CONNECTIONS_MOST   10000
#define DEPTH_MOST         65536
#define DEPTH_MOST_CYCLES  256 /* the slots a worker can have */
#define IDS_MOST           100000000
#define PAYLOAD_BYTES_MOST 1048576
#define RATE_MOST          1e9
#define SECONDS_MOST       86400
#define TOP_MOST           65536

enum key {
    KEY_HOST = 1000,
    KEY_PORT,
    KEY_PROTO,
    KEY_IDS,
    KEY_PAYLOAD,
    KEY_VOTERS,
    KEY_TOP,
    KEY_SECONDS,
    KEY_REQUESTS,
    KEY_WARMUP,
    KEY_RATE,
    KEY_SERVER_PID,
    KEY_JSON,
    KEY_CEILING,
    KEY_NAME,
    KEY_API_KEY_FILE,
};

static const struct argp_option entries[] = {
    {"host", KEY_HOST, "HOST", 0, "where the server is (127.0.0.1)", 1},
    {"port", KEY_PORT, "PORT", 0, "its port (8259)", 1},
    {"proto", KEY_PROTO, "NAME", 0, "line, resp (Redis) or beanstalk (line)", 1},
    {"api-key-file", KEY_API_KEY_FILE, "FILE", 0, "AUTH with the key in FILE (line only)", 1},
    {"server-pid", KEY_SERVER_PID, "PID", 0, "report the CPU time of this process", 1},
    {"ceiling", KEY_CEILING, NULL, 0, "drive a do-nothing server of its own instead", 1},
    {"connections", 'c', "N", 0, "connections (50)", 2},
    {"depth", 'd', "N", 0, "requests in flight on each connection (16)", 2},
    {"verbs", 'v', "MIX", 0,
     "build, or ballot, or one or more of vote, ping, tally: vote=90,tally=10 (vote)", 2},
    {"ids", KEY_IDS, "WHICH", 0,
     "hot:N: N options in turn; uniform:N: N options, drawn at random (hot:10)", 2},
    {"payload", KEY_PAYLOAD, "BYTES", 0, "payload of a build (100)", 2},
    {"voters", KEY_VOTERS, "FORM", 0, "voters of ballots are named like uuid or short (uuid)", 2},
    {"top", KEY_TOP, "N", 0, "ask TALLY for TOP N (all)", 2},
    {"seconds", KEY_SECONDS, "S", 0, "how long to count (2)", 3},
    {"requests", KEY_REQUESTS, "N", 0, "count about N requests instead", 3},
    {"warmup", KEY_WARMUP, "S", 0, "load before counting begins (0.5; 0 with --requests)", 3},
    {"rate", KEY_RATE, "R", 0, "open loop: R requests/s whatever the server does", 3},
    {"json", KEY_JSON, NULL, 0, "print one JSON line", 4},
    {"name", KEY_NAME, "NAME", 0, "what the server is called in it (tally)", 4},
    {0}};

static double number(struct argp_state *state, const char *what, const char *text, double most)
{
    char *end;

    errno = 0;
    double value = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !(value >= 0 && value <= most)) {
        argp_error(state, "--%s %s: a number from 0 to %.0f is wanted", what, text, most);
    }
    return value;
}

static uint64_t whole(struct argp_state *state, const char *what, const char *text, double most)
{
    double value = number(state, what, text, most);

    if (value < 1 || value > floor(value)) {
        argp_error(state, "--%s %s: a whole number from 1 to %.0f is wanted", what, text, most);
    }
    return (uint64_t)value;
}

static void read_ids(struct options *o, struct argp_state *state, const char *text)
{
    const char *colon = strchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;

    o->ids_in_turn = len == 3 && strncmp(text, "hot", len) == 0;
    if (!o->ids_in_turn && !(len == 7 && strncmp(text, "uniform", len) == 0)) {
        argp_error(state, "--ids %s: hot:N or uniform:N is wanted", text);
    }
    o->ids = whole(state, "ids", text + len + 1, IDS_MOST);
}

/* One `verb` or `verb=weight`. */
static void read_verb(struct options *o, struct argp_state *state, char *word)
{
    static const char *const names[VERB_COUNT] = {"vote", "ping", "tally"};
    char *equals = strchr(word, '=');
    unsigned weight = 1;

    if (equals != NULL) {
        weight = (unsigned)whole(state, "verbs", equals + 1, 1000);
        *equals = '\0';
    }
    if (strcmp(word, "build") == 0) {
        o->cycle = true;
        return;
    }
    if (strcmp(word, "ballot") == 0) {
        o->ballots = true;
        return;
    }
    for (int v = 0; v < VERB_COUNT; v++) {
        if (strcmp(word, names[v]) == 0) {
            o->weight[v] = weight;
            return;
        }
    }
    argp_error(state, "--verbs: what is '%s'?", word);
}

static void read_verbs(struct options *o, struct argp_state *state)
{
    char copy[128];
    char *rest = copy;
    char *word;
    unsigned words = 0;

    if (strlen(o->verbs) >= sizeof copy) {
        argp_error(state, "--verbs: too long");
    }
    memcpy(copy, o->verbs, strlen(o->verbs) + 1);
    while ((word = strsep(&rest, ",")) != NULL) {
        read_verb(o, state, word);
        words++;
    }
    if ((o->cycle || o->ballots) && words > 1) {
        argp_error(state, "--verbs: build and ballot cannot be mixed");
    }
}

static void check_together(struct options *o, struct argp_state *state)
{
    read_verbs(o, state);
    if (o->cycle && o->depth > DEPTH_MOST_CYCLES) {
        argp_error(state, "--depth: a worker has at most %d slots", DEPTH_MOST_CYCLES);
    }
    if (o->ballots && o->proto->add_ballot == NULL) {
        argp_error(state, "--verbs: the dialect %s has no ballot", o->proto->name);
    }
    if (o->ceiling && (o->cycle || o->weight[VERB_TALLY] > 0 || o->proto != &proto_line)) {
        argp_error(state, "--ceiling: the do-nothing server knows one-line replies only");
    }
    if (o->warmup_s < 0) {
        o->warmup_s = o->requests > 0 ? 0 : 0.5;
    }
}

static void read_voters(struct options *o, struct argp_state *state, const char *text)
{
    o->short_voters = strcmp(text, "short") == 0;
    if (!o->short_voters && strcmp(text, "uuid") != 0) {
        argp_error(state, "--voters %s: uuid or short is wanted", text);
    }
}

static error_t read_server_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case KEY_HOST:
        o->host = arg;
        break;
    case KEY_PORT:
        o->port = arg;
        break;
    case KEY_PROTO:
        o->proto = proto_find(arg);
        if (o->proto == NULL) {
            argp_error(state, "--proto: what is '%s'?", arg);
        }
        break;
    case KEY_API_KEY_FILE:
        o->api_key_file = arg;
        break;
    case KEY_SERVER_PID:
        o->server_pid = (pid_t)whole(state, "server-pid", arg, 4194304);
        break;
    case KEY_CEILING:
        o->ceiling = true;
        break;
    case KEY_JSON:
        o->json = true;
        break;
    case KEY_NAME:
        o->name = arg;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static error_t read_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case 'c':
        o->connections = (unsigned)whole(state, "connections", arg, CONNECTIONS_MOST);
        break;
    case 'd':
        o->depth = (unsigned)whole(state, "depth", arg, DEPTH_MOST);
        break;
    case 'v':
        o->verbs = arg;
        break;
    case KEY_IDS:
        read_ids(o, state, arg);
        break;
    case KEY_PAYLOAD:
        o->payload_bytes = (size_t)whole(state, "payload", arg, PAYLOAD_BYTES_MOST);
        break;
    case KEY_VOTERS:
        read_voters(o, state, arg);
        break;
    case KEY_TOP:
        o->top = (unsigned)whole(state, "top", arg, TOP_MOST);
        break;
    case KEY_SECONDS:
        o->duration_s = number(state, "seconds", arg, SECONDS_MOST);
        break;
    case KEY_REQUESTS:
        o->requests = whole(state, "requests", arg, 1e15);
        break;
    case KEY_WARMUP:
        o->warmup_s = number(state, "warmup", arg, SECONDS_MOST);
        break;
    case KEY_RATE:
        o->rate_per_s = (double)whole(state, "rate", arg, RATE_MOST);
        break;
    case ARGP_KEY_ARG:
        argp_error(state, "what is '%s'?", arg);
        break;
    case ARGP_KEY_END:
        check_together(o, state);
        break;
    default:
        return read_server_option(key, arg, state);
    }
    return 0;
}

void options_read(struct options *o, int argc, char **argv)
{
    static const struct argp argp = {
        .options = entries,
        .parser = read_option,
        .doc = "Drives one server over TCP and reports requests/s, latency and CPU per request."
               "\vOther uses:\n"
               "  tally-bench nothing [PORT]   a server that answers `OK 1` to every line\n"
               "  tally-bench port             prints a free port\n"
               "  tally-bench table < LINES    medians and ratios from --json lines\n"
               "Exits 1 when the server answered an ERR."};

    *o = (struct options){.host = "127.0.0.1",
                          .port = "8259",
                          .proto = &proto_line,
                          .connections = 50,
                          .depth = 16,
                          .verbs = "vote",
                          .ids = 10,
                          .ids_in_turn = true,
                          .payload_bytes = 100,
                          .duration_s = 2,
                          .warmup_s = -1,
                          .name = "tally"};
    argp_err_exit_status = EX_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, o);
}
