/* The capture: the committed state as it was at one lsn, while apply goes on changing it. */
#ifndef TALLY_ENGINE_APPLY_SNAPSHOT_CAPTURE_H
#define TALLY_ENGINE_APPLY_SNAPSHOT_CAPTURE_H

#include "engine/apply/snapshot_image.h"
#include "engine/log/image.h"
#include "engine/state/state.h"

#include <stdbool.h>

/*
 *     begin at lsn S             walk, walk, walk ...                             end
 *        │        commit   commit       │      commit         │
 *     HEAD  polls queues workers options [build 7] options ... builds ...        END
 *                                          └ apply is about to change it: captured before its turn
 *
 * The capture runs in the committer, the only thread that changes the state, so nothing is
 * concurrent. Each entity carries the number of the last capture that has it, or that began before
 * the entity was made (`captured`). The rule: code that changes an entity, or takes it away, calls
 * snapshot_capture_poll (_option, ...) first; the walk captures the other entities. So each entity
 * that existed at S is captured exactly once, as it was at S, and entities made after S are left
 * out.
 *
 * Keys never change, stand in the order of their lsns, and go in this order
 * (engine/state/keys.h). So a pointer to the next one is enough: only that one is captured when
 * apply drops it.
 *
 * Members that follow from the entities are not captured but made again by a load: the counts of a
 * queue, its list of finished builds, the options of a poll, the builds that a worker holds, the
 * index of unique builds. So a change of those alone needs no capture.
 */
/*
 * Voters are entries of a set (engine/state/voters.h), of which the walk goes over one after the
 * other. A RESET takes a whole set away from its poll: when the walk has not been there, the set
 * waits in state.dropped_early for it.
 *
 * Marks. An entry has room for the low VOTERS_MARK_BITS bits of the number alone. That is enough,
 * since the walk goes over the voters to the end even when the capture has failed before: it marks
 * them, and captures nothing more. So when a capture begins each entry has the number of the
 * capture before, by its walk or because it was put since that capture began; never its own number.
 */
enum { CAPTURE_CHUNK_BYTES = 256 * 1024, CAPTURE_NO_MORE = 1 };

struct capture {
    struct state *state;
    uint32_t number; /* state.captures, while this one runs */
    int err;         /* sticky: NOMEM, or the error of emit; the capture has failed then */
    uint64_t lsn;
    struct image_buf out; /* not handed over yet */
    uint64_t images;
    struct image head;           /* the counts at S, at which the walk ends */
    struct snapshot_texts texts; /* of the image being made: too large to be cleared each time */
    /* the position of the walk */
    unsigned phase;
    uint64_t id;
    const struct keyed_reply *key; /* the next one; NULL: all of S are captured */
    /* Makes the next image that goes behind those of the entities: 0; CAPTURE_NO_MORE; PARK, not
     * yet; or an error. NULL: there are none. */
    int (*more)(void *arg, struct image *image);
    void *more_arg;
    /* Takes the bytes over (and sets *buf to its empty state). 0 or an error. */
    int (*emit)(void *arg, struct image_buf *buf);
    void *arg;
};

/* Begins at the state's lsn. REQUIRES: no other capture runs on this state. */
void snapshot_capture_begin(struct capture *capture, struct state *state,
                            int (*emit)(void *arg, struct image_buf *buf), void *arg);

/* Walks over at most `entities_max` entities, and stops early where `more` says PARK. Returns true
 * when the capture is whole, END included, or has failed (capture->err) and all voters are marked:
 * then call snapshot_capture_end. */
bool snapshot_capture_walk(struct capture *capture, uint64_t entities_max);

/* The capture fails: nothing more is handed over. Its walk goes on until the voters are marked. */
void snapshot_capture_fail(struct capture *capture, int err);

/* Ends the capture when its walk has returned true, or when the state ends, too. */
void snapshot_capture_end(struct capture *capture);

/* ---- for apply: to be called before an entity is changed or taken away ---- */

void snapshot_capture_take_poll(struct capture *capture, struct poll *poll);
void snapshot_capture_take_option(struct capture *capture, struct option *option);
void snapshot_capture_take_queue(struct capture *capture, struct queue *queue);
void snapshot_capture_take_worker(struct capture *capture, struct worker *worker);
void snapshot_capture_take_build(struct capture *capture, struct build *build);
void snapshot_capture_take_voter(struct capture *capture, struct voter_set *set,
                                 const struct voters_view *view);

#define CAPTURE_FIRST(name)                                                                        \
    static inline void snapshot_capture_##name(struct state *state, struct name *name)             \
    {                                                                                              \
        if (state->capture != NULL && name->captured != state->captures) {                         \
            snapshot_capture_take_##name(state->capture, name);                                    \
        }                                                                                          \
    }
CAPTURE_FIRST(poll)
CAPTURE_FIRST(option)
CAPTURE_FIRST(queue)
CAPTURE_FIRST(worker)
CAPTURE_FIRST(build)
#undef CAPTURE_FIRST

/* The oldest key is about to be dropped. */
void snapshot_capture_take_key(struct capture *capture);
static inline void snapshot_capture_oldest_key(const struct state *state)
{
    if (state->capture != NULL && state->capture->key != NULL &&
        state->capture->key == keys_next(&state->keys, NULL)) {
        snapshot_capture_take_key(state->capture);
    }
}

/* An entry carries the low bits of the number: see "Marks" above. */
static inline void snapshot_capture_voter(struct state *state, struct voter_set *set,
                                          const struct voters_view *view)
{
    if (state->capture != NULL && view->mark != (state->captures & VOTERS_MARK_MASK)) {
        snapshot_capture_take_voter(state->capture, set, view);
    }
}

/* Whether the capture that runs, if any, has not walked over all voters of a set. */
static inline bool snapshot_capture_needs(const struct state *state, const struct voter_set *set)
{
    return state->capture != NULL && set->walked != state->captures;
}

#endif
