/* EVENTS, as the reader makes them: what the store has, with the names of polls and options. */
#include "engine/edge/reader.h"

#include "engine/edge/edge_internal.h"
#include "engine/edge/slice.h"
#include "engine/events/event_find.h"

static int tell_event(void *arg, const struct event *event)
{
    struct read_events *r = arg;
    const struct state *state = r->read.edge->state;
    struct event_row *row = slice_row(&r->read);
    if (row == NULL) {
        return TALLY_NOMEM;
    }
    row->event = *event;
    for (unsigned i = 0; i < EVENT_TEXTS; i++) {
        row->event.text[i] = slice_text(&r->read, event->text[i]);
        if (event->text[i].len > 0 && row->event.text[i].at == NULL) {
            return TALLY_NOMEM;
        }
    }
    if (event_is_of_poll(event)) {
        const struct option *option = state_option(state, event->num[EVENT_OPTION]);
        const struct poll *poll = table_get(&state->poll_ids, event->num[EVENT_POLL]);
        bool is_there = poll != NULL && !FIELD_GET(poll->is_deleted);
        row->poll = event->text[EVENT_POLL_NAME].len > 0 ? row->event.text[EVENT_POLL_NAME]
                    : is_there ? slice_text(&r->read, blob_span(poll->name))
                               : row->poll;
        if (option != NULL) {
            row->label = slice_text(&r->read, blob_span(option->label));
        }
        if ((is_there && row->poll.at == NULL) || (option != NULL && row->label.at == NULL)) {
            return TALLY_NOMEM;
        }
    }
    return r->read.rows.count < r->read.wanted ? 0 : EVENT_FIND_ENOUGH;
}

int reader_find_events(const struct shared *shared, struct read *read)
{
    struct read_events *r = (struct read_events *)read;
    struct event_store *store = shared->events;
    const struct event_ask ask = {.from = r->from,
                                  .count = read->wanted,
                                  .each = r->each,
                                  .matches = r->matches,
                                  .match_count = r->match_count,
                                  .tell = tell_event,
                                  .arg = r};
    int err = event_find(store, &ask, &r->place, &r->oldest);
    return err == EVENT_FIND_MORE ? READ_MORE : err;
}
