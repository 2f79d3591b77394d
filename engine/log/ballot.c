/* Reading and writing the options of a ballot. */
#include "engine/log/ballot.h"

#include "wal/base/check.h"

#include <stdio.h>

/* Reads the id at the beginning of *more, and takes it and the comma behind it off. Returns 0 when
 * there is none. */
static uint64_t take_id(struct span *more)
{
    uint64_t id = 0;
    size_t digits = 0;
    while (digits < more->len && (unsigned char)(more->at[digits] - '0') <= 9) {
        unsigned digit = (unsigned char)(more->at[digits] - '0');
        if (id > (UINT64_MAX - digit) / 10 || (digits == 0 && digit == 0)) {
            return 0;
        }
        id = id * 10 + digit;
        digits++;
    }
    bool is_last = digits == more->len;
    if (digits == 0 || (!is_last && (more->at[digits] != ',' || digits + 1 == more->len))) {
        return 0;
    }
    size_t taken = is_last ? digits : digits + 1;
    *more = (struct span){more->at + taken, more->len - taken};
    return id;
}

unsigned ballot_more_count(struct span more)
{
    unsigned count = 0;
    while (more.len > 0) {
        if (++count == BALLOT_OPTIONS_MAX || take_id(&more) == 0) {
            return BALLOT_OPTIONS_MAX;
        }
    }
    return count;
}

unsigned ballot_options(const struct record *record, uint64_t options[BALLOT_OPTIONS_MAX])
{
    unsigned count = 0;
    DCHECK(record->type == RECORD_BALLOT);
    options[count++] = record->num[BALLOT_OPTION];
    for (struct span more = record->text[BALLOT_MORE]; more.len > 0;) {
        /* bounds.c, or ballot_more_put: no more than fit */
        CHECK(count < BALLOT_OPTIONS_MAX);
        options[count++] = take_id(&more);
    }
    return count;
}

size_t ballot_more_put(char to[BALLOT_MORE_BYTES_MAX], const uint64_t *options, unsigned count)
{
    size_t len = 0;
    DCHECK(count > 0 && count <= BALLOT_OPTIONS_MAX);
    for (unsigned i = 1; i < count; i++) {
        int wrote = snprintf(to + len, BALLOT_MORE_BYTES_MAX - len, i == 1 ? "%llu" : ",%llu",
                             (unsigned long long)options[i]);
        len += (size_t)wrote;
        DCHECK(len < BALLOT_MORE_BYTES_MAX);
    }
    return len;
}

void ballot_of_vote(const struct record *vote, struct record *ballot)
{
    DCHECK(vote->type == RECORD_VOTE);
    *ballot = (struct record){
        .type = RECORD_BALLOT,
        .lsn = vote->lsn,
        .time_ms = vote->time_ms,
        .num = {[BALLOT_OPTION] = vote->num[VOTE_OPTION], [BALLOT_N] = vote->num[VOTE_N]},
        .text = {[BALLOT_VOTER] = vote->text[VOTE_VOTER], [BALLOT_KEY] = vote->text[VOTE_KEY]}};
}
