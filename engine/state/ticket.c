/* Ticket lists: walking, appending and trimming. */
#include "engine/state/ticket.h"

#include "engine/state/state.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

static struct ticket *next_of(const struct ticket *ticket)
{
    /* Q1: acquire; pairs with Q2: the ticket is whole, and so is what apply did to its build */
    return atomic_load_explicit(&ticket->next, memory_order_acquire);
}

static bool is_alive(const struct ticket *ticket)
{
    DCHECK(ticket->build != NULL); /* the dummy is never behind another ticket */
    return word_status(word_get(&ticket->build->word)) == ticket->status;
}

int ticket_list_init(struct ticket_list *list)
{
    struct ticket *dummy = calloc(1, sizeof *dummy);
    if (dummy == NULL) {
        return TALLY_NOMEM;
    }
    list->head = dummy;
    list->last = dummy;
    atomic_init(&list->hint, dummy);
    atomic_init(&list->pending, 0);
    return 0;
}

void ticket_list_fini(struct ticket_list *list)
{
    while (list->head != NULL) {
        struct ticket *next = next_of(list->head);
        free(list->head);
        list->head = next;
    }
}

int ticket_append(struct ticket_list *list, struct build *build, uint32_t status, uint64_t lsn)
{
    DCHECK(status_state(status) == BUILD_PENDING); /* only pending builds are offered */
    struct ticket *ticket = malloc(sizeof *ticket);
    if (ticket == NULL) {
        return TALLY_NOMEM;
    }
    *ticket = (struct ticket){.build = build, .status = status, .lsn = lsn};
    /* Q2: release; pairs with Q1 */
    atomic_store_explicit(&list->last->next, ticket, memory_order_release);
    list->last = ticket;
    return 0;
}

struct ticket *ticket_first(struct ticket_list *list)
{
    /* Q3: acquire; pairs with Q4: tickets that the hint's mover saw are linked for us, too */
    struct ticket *hint = atomic_load_explicit(&list->hint, memory_order_acquire);
    struct ticket *dead = NULL;
    struct ticket *ticket = NULL;
    do {
        dead = hint;
        ticket = next_of(dead);
        while (ticket != NULL && !is_alive(ticket)) {
            dead = ticket;
            ticket = next_of(ticket);
        }
        /*
         * If another thread has moved the hint less far, the walk starts again. The committer
         * relies on this: a build whose claim is applied has no ticket behind the hint, so the
         * build may be freed.
         */
        /* Q4: acq_rel; acquire on failure; pairs with Q3 */
    } while (dead != hint &&
             !atomic_compare_exchange_strong_explicit(&list->hint, &hint, dead,
                                                      memory_order_acq_rel, memory_order_acquire));
    return ticket;
}

void ticket_trim(struct ticket_list *list, struct state *state)
{
    /* Q3: acquire; pairs with Q4 */
    struct ticket *hint = atomic_load_explicit(&list->hint, memory_order_acquire);
    while (list->head != hint) {
        struct ticket *next = next_of(list->head);
        DCHECK(next != NULL); /* the hint is in the list, and not behind its end */
        state_retire(state, list->head, free);
        list->head = next;
    }
}
