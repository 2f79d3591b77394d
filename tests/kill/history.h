/* What one client was told: the raw material of the verdict. */
#ifndef TALLY_TESTS_KILL_HISTORY_H
#define TALLY_TESTS_KILL_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OPTIONS = 4, FAULT_MAX = 512 };

struct numbers {
    uint64_t *at;
    size_t count, room;
};

/* A submitted build: `number` makes its payload, `id` is 0 until it is acknowledged. */
struct submit {
    uint64_t number, id;
};

/* From the reply to CLAIM until the request that gives the build away is sent: in between this
 * client holds it for certain, whatever is lost on the way. */
struct hold {
    uint64_t build, token;
    uint64_t from_ns, to_ns; /* UINT64_MAX: it never asked to give it away */
    size_t client;
};

enum end_kind { END_DONE, END_FAILED, END_PENDING };

/* An acknowledged end of a hold. */
struct end {
    uint64_t build, token;
    enum end_kind kind;
};

/* Threads: written by the one client's thread; read by others after it is joined. */
struct history {
    uint64_t votes_sent[OPTIONS], votes_acked[OPTIONS];
    struct numbers told[OPTIONS]; /* every votes_after, in the order of the replies */
    struct submit *submits;
    size_t submit_count, submit_room;
    struct hold *holds;
    size_t hold_count, hold_room;
    struct end *ends;
    size_t end_count, end_room;
    uint64_t losses;       /* connections lost */
    char fault[FAULT_MAX]; /* the first thing that must not happen, or empty */
};

void history_init(struct history *history);
void history_fini(struct history *history);

void history_told(struct history *history, size_t option, uint64_t votes_after);

/* Returns its index in `submits`. */
size_t history_submit(struct history *history, uint64_t number);

/* Returns the hold now open. */
struct hold *history_hold(struct history *history, const struct hold *hold);

void history_end(struct history *history, const struct end *end);

/* Notes the first fault. Returns false, so that a step can end with it. */
bool history_fault(struct history *history, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
