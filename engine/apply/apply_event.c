/* What apply tells of the records that it has accepted, for those who listen. */
#include "engine/apply/apply_internal.h"

#include "engine/base/label.h"
#include "wal/base/check.h"

static struct event event_of(const struct record *record)
{
    return (struct event){.lsn = record->lsn, .time_ms = record->time_ms, .type = record->type};
}

void apply_event_votes(struct state *state, const struct record *record, enum record_type type,
                       const struct apply_votes *votes)
{
    if (state->events == NULL) {
        return;
    }
    struct event event = event_of(record);
    event.type = type;
    event.num[EVENT_OPTION] = votes->option->id;
    event.num[EVENT_POLL] = votes->option->poll->id;
    event.num[EVENT_VOTES] = votes->after;
    event.num[EVENT_N] = votes->n;
    event.text[EVENT_VOTER] = votes->voter;
    event_put(state->events, &event);
}

void apply_event_poll(struct state *state, const struct record *record, const struct poll *poll,
                      uint64_t option, uint64_t value)
{
    if (state->events == NULL) {
        return;
    }
    struct event event = event_of(record);
    event.num[EVENT_POLL] = poll->id;
    event.num[EVENT_OPTION] = option;
    event.num[EVENT_VALUE] = value;
    event_put(state->events, &event);
}

void apply_event_polldel(struct state *state, const struct record *record, const struct poll *poll)
{
    if (state->events == NULL) {
        return;
    }
    struct event event = event_of(record);
    event.num[EVENT_POLL] = poll->id;
    event.num[EVENT_VALUE] = FIELD_OWN(poll->total);
    event.text[EVENT_POLL_NAME] = blob_span(poll->name);
    event_put(state->events, &event);
}

void apply_event_build(struct state *state, const struct record *record, const struct build *build)
{
    if (state->events == NULL) {
        return;
    }
    struct event event = event_of(record);
    bool ends = record_is_build_step(record->type) &&
                status_is_held((uint32_t)record->num[STEP_BEFORE]) && record->type != RECORD_BEAT;
    uint32_t status = FIELD_OWN(build->applied);
    uint32_t of_claim = ends ? (uint32_t)record->num[STEP_BEFORE] : status;
    event.num[EVENT_BUILD] = build->id;
    event.num[EVENT_TOKEN] = status_is_held(of_claim) ? status_token(of_claim) : 0;
    event.num[EVENT_STATE] = status_state(status);
    event.num[EVENT_PRI] = build->pri;
    event.text[EVENT_QUEUE] = blob_span(build->queue->name);
    if (event.num[EVENT_TOKEN] != 0) {
        event.text[EVENT_WORKER] = blob_span(FIELD_OWN(build->by));
    }
    event_put(state->events, &event);
}

void apply_event_worker(struct state *state, const struct record *record,
                        const struct worker *worker, bool again)
{
    if (state->events == NULL) {
        return;
    }
    struct event event = event_of(record);
    event.num[EVENT_AGAIN] = again;
    event.text[EVENT_WORKER] = blob_span(worker->name);
    event_put(state->events, &event);
}
