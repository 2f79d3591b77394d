/* Every error tally knows, from one list: its name on the wire or in a message, and its text. */
#ifndef TALLY_WAL_BASE_ERR_H
#define TALLY_WAL_BASE_ERR_H

/*
 * One convention in all layers: a function that can fail returns an int, 0 or more after success,
 * and otherwise one negative number: a code of this list, which is below -1000, or the negative
 * errno value of a system call. Neither can be taken for the other. Only tally_err_of translates
 * errno values to codes.
 *
 * The first group are the codes of the line protocol (net/PROTOCOL.md); their names are stable. The
 * second group never reaches a client: a layer returns them to the one above it.
 */
#define TALLY_ERR_LIST(X)                                                                          \
    X(SYNTAX, "the line cannot be read")                                                           \
    X(UNKNOWN, "no such command")                                                                  \
    X(ARGS, "wrong number of arguments")                                                           \
    X(TOOLONG, "the line is too long")                                                             \
    X(INVAL, "an argument is not valid")                                                           \
    X(TOOBIG, "the payload is too big")                                                            \
    X(NOAUTH, "authenticate first")                                                                \
    X(DENIED, "not allowed")                                                                       \
    X(NOTFOUND, "no such thing")                                                                   \
    X(EXISTS, "it exists already")                                                                 \
    X(STATE, "its state does not allow that")                                                      \
    X(STALE, "the token is stale")                                                                 \
    X(OFFLINE, "the worker is offline")                                                            \
    X(CLOSED, "the poll is closed")                                                                \
    X(VOTED, "the voter has voted")                                                                \
    X(RATE, "too many votes from here")                                                            \
    X(FULL, "a limit is reached")                                                                  \
    X(BUSY, "the server is busy")                                                                  \
    X(RANGE, "a number is out of range")                                                           \
    X(READONLY, "disk full")                                                                       \
    X(LOADING, "the log is being replayed")                                                        \
    X(DRAINING, "the server is going down")                                                        \
    X(TIMEOUT, "it took too long")                                                                 \
    X(PARK, "undecided until the next commit")                                                     \
    X(ROOM, "no room in the lane")                                                                 \
    X(MEMORY, "the memory for clients is used up")                                                 \
    X(NOMEM, "out of memory")                                                                      \
    X(THREAD, "a thread cannot be started")                                                        \
    X(IO, "input/output error")                                                                    \
    X(NOSPC, "no space left on the device")                                                        \
    X(DAMAGE, "the log is damaged")                                                                \
    X(NEWER, "a newer version wrote this log")                                                     \
    X(MISSED, "records left the log before they were read")                                        \
    X(LOCKED, "the directory is in use by another process")                                        \
    X(CORRUPT, "the bytes do not decode")

enum tally_err_index {
    TALLY_ERR_INDEX_NONE = 0,
#define X(name, text) TALLY_ERR_INDEX_##name,
    TALLY_ERR_LIST(X)
#undef X
        TALLY_ERR_COUNT
};

enum { TALLY_ERR_BASE = 1000 }; /* above every errno value */

enum tally_err {
    TALLY_OK = 0,
#define X(name, text) TALLY_##name = -(TALLY_ERR_BASE + (int)TALLY_ERR_INDEX_##name),
    TALLY_ERR_LIST(X)
#undef X
};

/* The code's name, as in "NOTFOUND"; "OK" for 0; "?" for a number that is no code. Static storage.
 */
const char *tally_err_name(int err);

/* One short sentence for people. Static storage. */
const char *tally_err_text(int err);

/* The code for a negative errno value: NOSPC when the disk, the quota or the limit on a file's size
 * is full; NOMEM; DENIED when the system does not allow the call; IO for all others. A code, and a
 * number that is not negative, is returned as it is. */
int tally_err_of(int err);

/* The text of an errno value or a code, for the end of a message. Static storage. */
const char *tally_err_reason(int err);

#endif
