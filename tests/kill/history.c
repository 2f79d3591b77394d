/* Growing lists of what one client was told. */
#include "tests/kill/history.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *grow(void *list, size_t count, size_t *room, size_t item_bytes)
{
    if (count < *room) {
        return list;
    }
    *room = *room == 0 ? 64 : *room * 2;
    list = realloc(list, *room * item_bytes);
    if (list == NULL) {
        abort();
    }
    return list;
}

void history_init(struct history *history)
{
    memset(history, 0, sizeof(*history));
}

void history_fini(struct history *history)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        free(history->told[i].at);
    }
    free(history->submits);
    free(history->holds);
    free(history->ends);
    history_init(history);
}

void history_told(struct history *history, size_t option, uint64_t votes_after)
{
    struct numbers *told = &history->told[option];
    told->at = grow(told->at, told->count, &told->room, sizeof(*told->at));
    told->at[told->count++] = votes_after;
}

size_t history_submit(struct history *history, uint64_t number)
{
    history->submits = grow(history->submits, history->submit_count, &history->submit_room,
                            sizeof(*history->submits));
    history->submits[history->submit_count] = (struct submit){.number = number};
    return history->submit_count++;
}

struct hold *history_hold(struct history *history, const struct hold *hold)
{
    history->holds =
        grow(history->holds, history->hold_count, &history->hold_room, sizeof(*history->holds));
    history->holds[history->hold_count] = *hold;
    return &history->holds[history->hold_count++];
}

void history_end(struct history *history, const struct end *end)
{
    history->ends =
        grow(history->ends, history->end_count, &history->end_room, sizeof(*history->ends));
    history->ends[history->end_count++] = *end;
}

bool history_fault(struct history *history, const char *format, ...)
{
    if (history->fault[0] == '\0') {
        va_list args;
        va_start(args, format);
        vsnprintf(history->fault, sizeof(history->fault), format, args);
        va_end(args);
    }
    return false;
}
