/* Damage to a log on the simulated disk: the log is read whole or is refused. */
#ifndef TALLY_TESTS_CRASH_DAMAGE_H
#define TALLY_TESTS_CRASH_DAMAGE_H

#include "tests/crash/run.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One log, of which copies are damaged. The one allowed loss is the very last block, while no later
 * block calls it durable. So two damages at once may take a block and the later one that confirms
 * it.
 */
struct damage {
    struct run run;    /* the log, stopped */
    bool is_clean;     /* the log ended with a seal */
    bool is_confirmed; /* a later block calls the last one durable */
    bool has_spare;    /* there are two snapshots: damage to one of them costs nothing */
    bool is_double;    /* this kind damages two places at once */
    const char *kind;  /* of damage, for the text */
    uint64_t cases;
    uint64_t right; /* all records came back */
    uint64_t refused;
    uint64_t shortened; /* the last, unconfirmed block was lost */
    bool failed;        /* a case was wrong; then the rest is left out */
    char text[1024];
};

/* Makes the log that the script leaves when the process is killed, or with is_clean when it ends. A
 * script that ends with c leaves its last block confirmed. */
void damage_init(struct damage *damage, const char *script, uint64_t seed, bool is_clean);
void damage_fini(struct damage *damage);

/* In the files whose names begin like that: flips each bit; cuts the file off at each length. */
void damage_bits(struct damage *damage, const char *names);
void damage_lengths(struct damage *damage, const char *names);

/* Each does its kind of damage at every place of every file of the directory. */
void damage_pages(struct damage *damage); /* zeros, noise, another page, two exchanged */
void damage_files(struct damage *damage); /* removed, renamed, taken twice */

/* Pages and files are taken from another log of the same names: an older one of the same
 * life, or of another. */
void damage_from(struct damage *damage, const struct disk *other, bool whole_files);

#endif
