/* Ticket lists: the pending builds of one queue, priority and need set, in the order they were
 * offered. */
#ifndef TALLY_ENGINE_STATE_TICKET_H
#define TALLY_ENGINE_STATE_TICKET_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct build;
struct state;

/*
 *     head              hint                                   last
 *      │ (committer)     │ (anybody, CAS)                        │ (committer)
 *      ▼                 ▼                                       ▼
 *     [dummy] ─▶ [dead] ─▶ [dead] ─▶ [ticket] ─▶ [ticket] ─▶ [ticket] ─▶ NULL
 *
 * A ticket {build, status, lsn} is an offer; it is alive while the build's word still says exactly
 * `status` (pending, with that token). Every way out of pending takes a new token, so a dead ticket
 * stays dead, and nobody needs to take it out at once. The hint is the last ticket of a dead
 * prefix: the walk begins behind it.
 *
 * Synchronization table
 *                 append   trim     walk     advance hint
 *     append      (one)    (one)    free     free     the committer does both append and trim,
 *     trim                 (one)    free     free     so the two never meet
 *     walk                          free     free     any thread, in a read section
 *
 * Guarantees: a walk that finds no living ticket has met every ticket appended before it began, and
 * each was dead.
 * Tickets of one list are taken in the order of appending, but for those whose CAS was lost to
 * another taker. Progress: append and trim wait-free, walk lock-free. Linearization: the CAS on the
 * build's word, not anything here. Reclamation: trim unlinks only tickets before the hint, and
 * retires them. A walker that began at an older hint still finds its way, because `next` of an
 * unlinked ticket is never changed and a ticket is never linked twice. The hint moves forward only:
 * its CAS expects the ticket at which the walk began, and that one cannot come back to its address
 * while the walker is in its read section.
 */
struct ticket {
    _Atomic(struct ticket *) next;
    struct build *build; /* NULL in the dummy */
    uint64_t lsn;
    uint32_t status;
};

struct ticket_list {
    _Atomic(struct ticket *) hint;
    struct ticket *head;      /* the committer alone */
    struct ticket *last;      /* the committer alone */
    _Atomic uint64_t pending; /* living tickets as committed; apply writes it */
};

/* Makes an empty list. Errors: NOMEM. */
int ticket_list_init(struct ticket_list *list);
void ticket_list_fini(struct ticket_list *list);

/* Offers a build. Threads: the committer. Errors: NOMEM. */
int ticket_append(struct ticket_list *list, struct build *build, uint32_t status, uint64_t lsn);

/* Returns the first living ticket; NULL when there is none. Moves the hint over the dead tickets
 * that it met. Threads: any, in a read section. */
struct ticket *ticket_first(struct ticket_list *list);

/* Retires tickets before the hint. Threads: the committer. */
void ticket_trim(struct ticket_list *list, struct state *state);

#endif
