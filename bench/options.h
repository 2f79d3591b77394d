/* The options of one run of the load generator. */
#ifndef TALLY_BENCH_OPTIONS_H
#define TALLY_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proto;

enum verb { VERB_VOTE, VERB_PING, VERB_TALLY, VERB_COUNT };

struct options {
    const char *host;
    const char *port;
    const struct proto *proto;
    unsigned connections;
    unsigned depth; /* requests in flight on each connection */
    const char *verbs;
    unsigned weight[VERB_COUNT]; /* of each verb in the mix; all 0: one of the next two */
    bool cycle;                  /* build cycles: hand in, take, finish */
    bool ballots;                /* votes of voters, each of whom votes once */
    bool short_voters;           /* names of voters as `v17`; else as random UUIDs */
    unsigned top;                /* lines that a TALLY asks for; 0: all */
    uint64_t ids;                /* options that are voted for */
    bool ids_in_turn;            /* one after the other; else drawn evenly at random */
    size_t payload_bytes;
    double duration_s;
    double warmup_s;
    uint64_t requests; /* stop after so many instead; 0: by duration */
    double rate_per_s; /* open loop at this rate; 0: closed loop */
    pid_t server_pid;  /* the process whose CPU time is reported; 0: none */
    bool json;
    bool ceiling;     /* drive a do-nothing server of this program */
    const char *name; /* of the server, for the JSON line */
    const char *api_key_file;
};

/* Reads the command line; ends the program with 64 on a wrong one. */
void options_read(struct options *o, int argc, char **argv);

#endif
