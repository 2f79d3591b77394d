/* The table of image numbers: which member of an entity each number of its image is. */
#ifndef TALLY_ENGINE_APPLY_SNAPSHOT_FIELDS_H
#define TALLY_ENGINE_APPLY_SNAPSHOT_FIELDS_H

#include "engine/log/image.h"

/*
 * One line for each number of a kind (engine/log/image.h): capture, load and digest are made from
 * it, and a number without a line does not compile.
 *
 *     OWN(index, type, member)      a plain member
 *     SHARED(index, type, member)   an _Atomic one: FIELD_OWN, FIELD_PUT
 *     OTHER(index)                  made from other members: by hand in snapshot_image.c and
 *                                   snapshot_load.c
 */
#define HEAD_FIELDS(OWN, SHARED, OTHER)                                                            \
    SHARED(HEAD_LSN, uint64_t, lsn)                                                                \
    OWN(HEAD_TIME_MS, uint64_t, time_ms)                                                           \
    SHARED(HEAD_VOTES, uint64_t, votes)                                                            \
    SHARED(HEAD_POLLS, uint64_t, poll_count)                                                       \
    SHARED(HEAD_OPTIONS, uint64_t, option_count)                                                   \
    SHARED(HEAD_QUEUES, uint64_t, queue_count)                                                     \
    OTHER(HEAD_WORKERS)                                                                            \
    SHARED(HEAD_BUILD_NEXT, uint64_t, build_next)                                                  \
    OTHER(HEAD_BUILDS)                                                                             \
    OTHER(HEAD_PAYLOAD_BYTES)                                                                      \
    SHARED(HEAD_WORKER_LAST, uint64_t, worker_last)                                                \
    SHARED(HEAD_QUEUE_LAST, uint64_t, queue_last)                                                  \
    OTHER(HEAD_KEYS)                                                                               \
    OTHER(HEAD_HAS_KEYS)                                                                           \
    OWN(HEAD_DELETED_POLLS, uint64_t, deleted_polls)                                               \
    OWN(HEAD_DELETED_OPTIONS, uint64_t, deleted_options)                                           \
    OTHER(HEAD_PAST_POLLS)                                                                         \
    OTHER(HEAD_PAST_OPTIONS)

#define POLL_FIELDS(OWN, SHARED, OTHER)                                                            \
    OWN(IPOLL_ID, uint64_t, id)                                                                    \
    SHARED(IPOLL_TOTAL, uint64_t, total)                                                           \
    SHARED(IPOLL_OPEN_MS, uint64_t, open_ms)                                                       \
    SHARED(IPOLL_CLOSE_MS, uint64_t, close_ms)                                                     \
    OTHER(IPOLL_RATE_N)                                                                            \
    OTHER(IPOLL_RATE_MS)                                                                           \
    SHARED(IPOLL_OPEN, bool, open)                                                                 \
    SHARED(IPOLL_MODE, uint32_t, mode)                                                             \
    OWN(IPOLL_MODE_WANTED, uint32_t, mode_wanted)                                                  \
    SHARED(IPOLL_GENERATION, uint32_t, generation)                                                 \
    OTHER(IPOLL_VOTERS)                                                                            \
    SHARED(IPOLL_DELETED, bool, is_deleted)

#define OPTION_FIELDS(OWN, SHARED, OTHER)                                                          \
    OWN(IOPTION_ID, uint32_t, id)                                                                  \
    OTHER(IOPTION_POLL)                                                                            \
    SHARED(IOPTION_VOTES, uint64_t, votes)                                                         \
    OWN(IOPTION_CHANGES, uint64_t, changes)                                                        \
    SHARED(IOPTION_GENERATION, uint32_t, generation)

#define QUEUE_FIELDS(OWN, SHARED, OTHER)                                                           \
    OWN(IQUEUE_ID, uint64_t, id)                                                                   \
    OTHER(IQUEUE_SETS)

#define WORKER_FIELDS(OWN, SHARED, OTHER)                                                          \
    OWN(IWORKER_ID_NUM, uint64_t, id)                                                              \
    SHARED(IWORKER_STATE, uint32_t, state)                                                         \
    SHARED(IWORKER_SLOTS, uint32_t, slots)                                                         \
    OTHER(IWORKER_CAPACITY)                                                                        \
    SHARED(IWORKER_DONE, uint64_t, done)                                                           \
    SHARED(IWORKER_FAILED, uint64_t, failed)                                                       \
    OWN(IWORKER_GONE_LSN, uint64_t, gone_lsn)

#define BUILD_FIELDS(OWN, SHARED, OTHER)                                                           \
    OWN(IBUILD_ID, uint64_t, id)                                                                   \
    SHARED(IBUILD_APPLIED, uint32_t, applied)                                                      \
    OTHER(IBUILD_QUEUE)                                                                            \
    OWN(IBUILD_SET, uint8_t, set)                                                                  \
    OWN(IBUILD_PRI, uint8_t, pri)                                                                  \
    SHARED(IBUILD_ENDING, uint64_t, ending)                                                        \
    OWN(IBUILD_TRIES, uint16_t, tries)                                                             \
    SHARED(IBUILD_ATTEMPTS, uint16_t, attempts)                                                    \
    OWN(IBUILD_SUBMIT_LEASE_MS, uint32_t, submit_lease_ms)                                         \
    SHARED(IBUILD_LEASE_MS, uint32_t, lease_ms)                                                    \
    OTHER(IBUILD_WORKER)                                                                           \
    OWN(IBUILD_HELD_AT, uint32_t, held_at)                                                         \
    OWN(IBUILD_SUBMITTED_MS, uint64_t, submitted_ms)                                               \
    SHARED(IBUILD_STARTED_MS, uint64_t, started_ms)                                                \
    SHARED(IBUILD_ENDED_MS, uint64_t, ended_ms)                                                    \
    OWN(IBUILD_PENDING_LSN, uint64_t, pending_lsn)                                                 \
    OWN(IBUILD_DUE_MS, uint64_t, due_ms)                                                           \
    OWN(IBUILD_ENDED_LSN, uint64_t, ended_lsn)                                                     \
    OTHER(IBUILD_FORGOTTEN)                                                                        \
    OWN(IBUILD_BYES, uint8_t, byes)                                                                \
    SHARED(IBUILD_GOES_BACK, bool, goes_back)

/* of a struct key_entry */
#define KEY_FIELDS(OWN, SHARED, OTHER)                                                             \
    OWN(IKEY_LSN, uint64_t, lsn)                                                                   \
    OWN(IKEY_TIME_MS, uint64_t, time_ms)                                                           \
    OWN(IKEY_VERB, unsigned, verb)                                                                 \
    OWN(IKEY_FINGERPRINT, uint64_t, fingerprint)                                                   \
    OWN(IKEY_NIL, bool, reply.nil)                                                                 \
    OWN(IKEY_VALUE, uint64_t, reply.value)

#define VOTER_FIELDS(OWN, SHARED, OTHER)  OTHER(IVOTER_POLL) OTHER(IVOTER_PLACE)
#define END_FIELDS(OWN, SHARED, OTHER)    OTHER(END_IMAGES)
#define RECENT_FIELDS(OWN, SHARED, OTHER) OTHER(IRECENT_POLL)

/* Each number of each kind has exactly one line: two lines of one number are two members of one
 * name. */
#define HAS_LINE(index, ...)              char has_##index;
#define X(kind, number)                                                                            \
    struct kind##_fields_are {                                                                     \
        kind##_FIELDS(HAS_LINE, HAS_LINE, HAS_LINE)                                                \
    };                                                                                             \
    _Static_assert(sizeof(struct kind##_fields_are) == IMAGE_##kind##_NUM_COUNT,                   \
                   "a number of an image of engine/log/image.h has no line here");
IMAGE_LIST(X)
#undef X
#undef HAS_LINE

/* From the member to the image's number: for an array of initializers. `from` is the entity. */
#define CAPTURE_OWN(index, type, member)    [index] = from->member,
#define CAPTURE_SHARED(index, type, member) [index] = FIELD_OWN(from->member),
#define CAPTURE_OTHER(index)

/* From the image's number to the member: statements. `to` is the entity, `num` the numbers. */
#define LOAD_OWN(index, type, member)    to->member = (type)num[index];
#define LOAD_SHARED(index, type, member) FIELD_PUT(to->member, (type)num[index]);
#define LOAD_OTHER(index)

#endif
