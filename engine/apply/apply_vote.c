/* apply for votes: one record at a time in a live engine, many at a time in a replay. */
#include "engine/apply/apply_internal.h"
#include "engine/state/feed.h"
#include "engine/apply/snapshot_capture.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

static void poll_add(struct state *state, struct poll *poll, uint64_t second, uint64_t votes)
{
    unsigned place = (unsigned)(second % POLL_SECONDS);
    DCHECK(FIELD_OWN(poll->second[place]) % POLL_SECONDS == place ||
           FIELD_OWN(poll->second[place]) == 0);
    snapshot_capture_poll(state, poll);
    if (FIELD_OWN(poll->second[place]) != second) {
        FIELD_PUT(poll->second_votes[place], 0);
        FIELD_PUT(poll->second[place], second);
    }
    FIELD_ADD(poll->second_votes[place], votes);
    FIELD_ADD(poll->total, votes);
    FIELD_ADD(state->votes, votes);
}

/* Applies a step to its option, but not to the sums of its poll and of the state. Returns whether
 * the step fits. */
static bool option_take(struct state *state, struct option *option, const struct vote_step *step)
{
    if (option == NULL || step->n == 0 || FIELD_OWN(option->votes) != step->before ||
        step->before + step->n > VOTES_MASK) {
        return false;
    }
    DCHECK(option->changes <= FIELD_OWN(option->votes)); /* each change was a vote or more */
    snapshot_capture_option(state, option);
    FIELD_PUT(option->votes, step->before + step->n);
    option->changes++;
    return true;
}

int apply_vote(struct state *state, const struct record *record)
{
    const struct vote_step step =
        apply_vote_step_of(record->num[VOTE_OPTION], record->num[VOTE_BEFORE], record->num[VOTE_N]);
    struct option *option = state_option(state, step.option);
    if (!option_take(state, option, &step)) {
        return TALLY_CORRUPT;
    }
    poll_add(state, option->poll, record->time_ms / 1000, step.n);
    if (option->poll->feed != NULL) {
        feed_note(option->poll->feed, option, step.before + step.n);
    }
    return 0;
}

/* Up to this many options stay in the cache. */
enum { CACHED_OPTIONS = 1000 };

/* Picks the indexes of the steps that belong to the share. Returns how many. It has no branch,
 * since the processor could not predict it. */
static size_t pick(const struct vote_share *share, const struct vote_step *steps, size_t count,
                   unsigned char *picks)
{
    size_t picked = 0;
    for (size_t i = 0; i < count; i++) {
        picks[picked] = (unsigned char)i;
        picked += (steps[i].option & (share->shares - 1)) == share->share;
    }
    return picked;
}

/* Finds the options of the steps, and prefetches all of them so that the waits overlap. */
static void options_fetch(const struct state *state, const struct vote_step *steps,
                          const unsigned char *picks, size_t picked, struct option **options)
{
    DCHECK(picked <= VOTE_STEPS_MAX);
    if (FIELD_OWN(state->option_count) > CACHED_OPTIONS) {
        for (size_t i = 0; i < picked; i++) {
            table_prefetch(&state->options, steps[picks[i]].option);
        }
    }
    for (size_t i = 0; i < picked; i++) {
        options[i] = state_option(state, steps[picks[i]].option);
        if (options[i] != NULL) {
            __builtin_prefetch(&options[i]->votes, 1);
        }
    }
}

size_t apply_vote_steps(struct state *state, const struct vote_share *share,
                        const struct vote_step *steps, size_t count, struct vote_sum *sums,
                        size_t *sum_count)
{
    struct option *options[VOTE_STEPS_MAX];
    unsigned char picks[VOTE_STEPS_MAX];
    struct vote_sum sum = {.poll = NULL, .second = share->second};
    size_t used = *sum_count;
    size_t i = 0;
    /* the replay cuts its batch into runs of at most VOTE_STEPS_MAX steps */
    CHECK(count <= VOTE_STEPS_MAX);
    size_t picked = pick(share, steps, count, picks);
    DCHECK(share->share < share->shares && (share->shares & (share->shares - 1)) == 0);
    options_fetch(state, steps, picks, picked, options);
    for (; i < picked; i++) {
        const struct vote_step *step = &steps[picks[i]];
        if (!option_take(state, options[i], step)) {
            break;
        }
        if (options[i]->poll != sum.poll && sum.poll != NULL) {
            sums[used++] = sum;
            sum.votes = 0;
        }
        sum.poll = options[i]->poll;
        sum.votes += step->n;
    }
    if (sum.poll != NULL) {
        sums[used++] = sum;
    }
    DCHECK(used <= *sum_count + count); /* the caller has made room for count more */
    *sum_count = used;
    return i == picked ? count : picks[i];
}

void apply_vote_sums(struct state *state, const struct vote_sum *sums, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        poll_add(state, sums[i].poll, sums[i].second, sums[i].votes);
    }
}
