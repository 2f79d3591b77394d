/* The explorer: runs a script on a simulated disk, and checks the image of a crash at each call. */
#ifndef TALLY_TESTS_CRASH_EXPLORE_H
#define TALLY_TESTS_CRASH_EXPLORE_H

#include "tests/crash/disk.h"
#include "tests/crash/fiber.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A script is one letter an operation; it begins with an open log:
 *   a  append one small record         x  close cleanly, open again
 *   n  several records, compressed     k  the process is killed; open again
 *   l  five pages, not compressible    p  the power goes; open again
 *   r  52 KiB, not compressible        P  as p, and all that was not durable is lost
 *   c  confirm                         s  let the helper finish
 *   f  one of the next syncs fails     t  time passes, then as s
 *   e  the disk is nearly full         h  there is room again
 *   S  begin a snapshot beside the writer; when it counts, old ones and old segments go
 *   d  the process is killed; the newest of two snapshots is damaged; open again
 *   j  the process is killed; open again with a janitor, also from then on
 */

enum { EXPLORE_DEPTH_MAX = 3, EXPLORE_SCRIPT_MAX = 96 };

/* A crash: the call at which the power fails, and the choice of the items kept. */
struct explore_crash {
    uint64_t call;
    struct disk_choice choice;
};

/* A case: all that is needed to make one image again. */
struct explore_case {
    char script[EXPLORE_SCRIPT_MAX];
    unsigned habits;
    enum fiber_order order;
    uint64_t seed;
    struct explore_crash path[EXPLORE_DEPTH_MAX];
    unsigned path_len;
};

struct explore_limits {
    unsigned mask_bits;   /* up to so many pending items: every subset */
    unsigned subsets;     /* with more items: so many subsets, beside none and all */
    unsigned randoms;     /* further images with torn and garbled sectors, by habit */
    unsigned one_of;      /* looks at one of so many calls of the script */
    unsigned one_of_deep; /* and of a recovery */
};

struct explorer {
    struct explore_limits limits;
    uint64_t images;
    uint64_t images_by_depth[EXPLORE_DEPTH_MAX + 1]; /* 1: in the script, 2: in a recovery, ... */
    uint64_t recoveries;
    uint64_t loads;   /* of those, with a snapshot */
    uint64_t removed; /* segments, by retention */
    uint64_t packed;  /* segments, by the janitor */
    uint64_t calls;
    bool is_replay; /* checks only the path of the case */
    bool failed;
    struct explore_case found; /* failed: the case */
    char text[1024];           /* and its fault */
};

/* Runs the case's script and checks the images of its calls, and those of the recoveries of these.
 * Stops at the first violation. */
void explore(struct explorer *explorer, const struct explore_case *what);

/* Shortens the case of a failed explorer as far as it can. */
void explore_shrink(struct explorer *explorer);

/* The case as one word for the command line, and back. */
void explore_case_put(const struct explore_case *from, char *text, size_t room);
bool explore_case_get(struct explore_case *to, const char *text);

#endif
