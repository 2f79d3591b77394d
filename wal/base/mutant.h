/* Seeded bugs: each can be switched on in a build of its own, and the tests must find it. */
#ifndef TALLY_WAL_BASE_MUTANT_H
#define TALLY_WAL_BASE_MUTANT_H

#include <sched.h>
#include <stdbool.h>

/* The numbers never change: tests name them. */
#define MUTANT_LIST(X)                                                                             \
    X(ACK_BEFORE_SYNC, "acknowledge before sync")                                                  \
    X(NO_DIR_SYNC, "no directory sync after rename")                                               \
    X(SHORT_WRITE, "short write ignored")                                                          \
    X(SYNC_AGAIN, "sync retried after an error")                                                   \
    X(TAIL_NOT_SYNCED, "tail not synced before serving")                                           \
    X(NO_OFFSET, "checksum without offset")                                                        \
    X(NOTHING_DURABLE, "durable lsn always 0")                                                     \
    X(TAIL_NOT_CLEARED, "old bytes after the tail not cleared")                                    \
    X(SEGMENT_REMOVED_EARLY, "segment removed before the snapshot is safe")                        \
    X(PACK_NOT_SYNCED, "packed segment in its place before it is synced")                          \
    X(REPLAY_SHARES, "votes of one option replayed by two threads")                                \
    X(RANK_COPY_EARLY, "a poll's votes copied before its changes are told")                        \
    X(GATE_AT_ONCE, "a poll closed without waiting for votes begun before")                        \
    X(ENDING_APART, "the token and the end of a claim read at two moments")                        \
    X(TOLD_APART, "a claim taken back after a look whether it was told again")                     \
    X(MARK_LATE, "nothing pending now in the need sets there were before")                         \
    X(FORGET_AT_ONCE, "a worker forgotten while a claim of it is on its way")                      \
    X(TREND_FREE_AT_ONCE, "an array of a trend freed while it is read")                            \
    X(SPLIT_EARLY, "a list of labels split before its entries are in the longer ones")             \
    X(KEY_UNDER_WAY, "a ballot that does not wait for another one with its key")                   \
    X(UNVOTE_UNNOTED, "a ballot refused for a vote that its batch has taken back")                 \
    X(ACCOUNT_APART, "an account found and charged at two moments")                                \
    X(EVENT_EARLY, "a block told to the reader before its bytes are there")

enum mutant {
    MUTANT_NONE,
#define X(name, text) MUTANT_##name,
    MUTANT_LIST(X)
#undef X
        MUTANT_COUNT
};

/* A release has no seeded bug: the condition is a constant. A test builds the files once more with
 * -DTALLY_MUTANT=tally_mutant and chooses a bug at run time, or defines the name of one. */
#ifdef TALLY_MUTANT
extern int tally_mutant;
#else
#define TALLY_MUTANT MUTANT_NONE
#endif

#define MUTANT(name) (TALLY_MUTANT == (name))

/* For a mutant: gives other threads time to run in between. */
static inline void mutant_pause(bool is_mutant)
{
    for (int i = 0; is_mutant && i < 20000; i++) {
        sched_yield();
    }
}

#endif
