/* The words: a step between two statuses is legal exactly where the picture has an arrow. */
#include "engine/log/record.h"
#include "engine/state/word.h"
#include "tests/lib/count.h"

#include <criterion/criterion.h>

/* The picture of word.h once more, as a list of arrows. */
struct arrow {
    unsigned type;
    enum build_state from;
    enum build_state to;
};

static const struct arrow arrows[] = {
    {RECORD_CLAIM, BUILD_PENDING, BUILD_ASSIGNED},
    {RECORD_BEAT, BUILD_ASSIGNED, BUILD_BUILDING},
    {RECORD_DONE, BUILD_ASSIGNED, BUILD_COMPLETED},
    {RECORD_DONE, BUILD_BUILDING, BUILD_COMPLETED},
    {RECORD_FAIL, BUILD_ASSIGNED, BUILD_PENDING},
    {RECORD_FAIL, BUILD_BUILDING, BUILD_PENDING},
    {RECORD_FAIL, BUILD_ASSIGNED, BUILD_DELAYED},
    {RECORD_FAIL, BUILD_BUILDING, BUILD_DELAYED},
    {RECORD_FAIL, BUILD_ASSIGNED, BUILD_FAILED},
    {RECORD_FAIL, BUILD_BUILDING, BUILD_FAILED},
    {RECORD_RELEASE, BUILD_ASSIGNED, BUILD_PENDING},
    {RECORD_RELEASE, BUILD_BUILDING, BUILD_PENDING},
    {RECORD_RELEASE, BUILD_ASSIGNED, BUILD_DELAYED},
    {RECORD_RELEASE, BUILD_BUILDING, BUILD_DELAYED},
    {RECORD_RELEASE, BUILD_ASSIGNED, BUILD_FAILED},
    {RECORD_RELEASE, BUILD_BUILDING, BUILD_FAILED},
    {RECORD_EXPIRE, BUILD_ASSIGNED, BUILD_PENDING},
    {RECORD_EXPIRE, BUILD_BUILDING, BUILD_PENDING},
    {RECORD_EXPIRE, BUILD_ASSIGNED, BUILD_FAILED},
    {RECORD_EXPIRE, BUILD_BUILDING, BUILD_FAILED},
    {RECORD_UNHOLD, BUILD_ASSIGNED, BUILD_PENDING},
    {RECORD_UNHOLD, BUILD_BUILDING, BUILD_PENDING},
    {RECORD_UNHOLD, BUILD_ASSIGNED, BUILD_FAILED},
    {RECORD_UNHOLD, BUILD_BUILDING, BUILD_FAILED},
    {RECORD_DUE, BUILD_DELAYED, BUILD_PENDING},
    {RECORD_DUE, BUILD_DELAYED, BUILD_FAILED},
};

static bool in_the_picture(unsigned type, enum build_state from, enum build_state to)
{
    for (size_t i = 0; i < COUNT_OF(arrows); i++) {
        if (arrows[i].type == type && arrows[i].from == from && arrows[i].to == to) {
            return true;
        }
    }
    return false;
}

static void check_step(unsigned type, enum build_state from, enum build_state to, uint32_t token)
{
    static const uint32_t more[] = {0, 1, 2, (uint32_t)-1};
    for (size_t i = 0; i < COUNT_OF(more); i++) {
        uint32_t after = (token + more[i]) & BUILD_TOKEN_MAX;
        uint32_t wanted = type == RECORD_BEAT ? 0 : 1;
        bool legal = in_the_picture(type, from, to) && more[i] == wanted;
        /* no step takes a token beyond the last one */
        legal = legal && (wanted == 0 || token < BUILD_TOKEN_MAX);
        cr_assert_eq(
            word_transition_is_legal(type, status_make(from, token), status_make(to, after)), legal,
            "type %u, state %d to %d, token %u to %u", type, from, to, token, after);
    }
}

Test(word, steps_are_legal_where_the_picture_says_so)
{
    static const uint32_t tokens[] = {0, 1, 12345, BUILD_TOKEN_MAX - 1, BUILD_TOKEN_MAX};
    for (unsigned type = 0; type < RECORD_TYPES + 4; type++) {
        for (int from = 0; from < 16; from++) {
            for (int to = 0; to < 16; to++) {
                for (size_t i = 0; i < COUNT_OF(tokens); i++) {
                    check_step(type, (enum build_state)from, (enum build_state)to, tokens[i]);
                }
            }
        }
    }
}

Test(word, halves_and_words_come_apart_as_they_were_put_together)
{
    uint64_t word = build_word(status_make(BUILD_BUILDING, BUILD_TOKEN_MAX), 0xfffffffe);
    cr_assert_eq(status_state(word_status(word)), BUILD_BUILDING);
    cr_assert_eq(status_token(word_status(word)), BUILD_TOKEN_MAX);
    cr_assert_eq(word_deadline(word), 0xfffffffe);
    cr_assert(status_is_held(word_status(word)) && !status_is_ended(word_status(word)));
    cr_assert(!status_is_held(status_make(BUILD_DELAYED, 1)));
    cr_assert(status_is_ended(status_make(BUILD_CANCELLED, 1)));
}

/* A build that runs out of tokens is not offered any more; its holder can still end the claim. */
Test(word, a_build_without_tokens_fails_instead_of_being_offered)
{
    uint32_t before = status_make(BUILD_ASSIGNED, BUILD_TOKEN_MAX - 4);
    cr_assert_eq(status_state(status_next(before, BUILD_PENDING)), BUILD_FAILED);
    cr_assert_eq(status_state(status_next(before, BUILD_DELAYED)), BUILD_FAILED);
    cr_assert_eq(status_state(status_next(before, BUILD_COMPLETED)), BUILD_COMPLETED);
    before = status_make(BUILD_ASSIGNED, BUILD_TOKEN_MAX - 5);
    cr_assert_eq(status_next(before, BUILD_PENDING),
                 status_make(BUILD_PENDING, BUILD_TOKEN_MAX - 4));
    /* a last offer, a last claim, a last end: each has its token */
    uint32_t offer = status_next(before, BUILD_PENDING);
    uint32_t held = status_next(offer, BUILD_ASSIGNED);
    uint32_t end = status_next(held, BUILD_PENDING);
    cr_assert_eq(status_state(end), BUILD_FAILED);
    cr_assert(status_token(end) <= BUILD_TOKEN_MAX);
    cr_assert(word_transition_is_legal(RECORD_FAIL, held, end));
}

Test(word, an_option_counts_votes_and_changes_apart)
{
    uint64_t word = 0;
    for (uint64_t i = 1; i <= 1000; i++) {
        word += option_step(i);
    }
    cr_assert_eq(option_votes(word), 500500);
    cr_assert_eq(word >> VOTES_BITS, 1000);
    /* changes wrap around and leave the votes alone */
    word = ((uint64_t)0xffffff << VOTES_BITS) + VOTES_RANGE;
    cr_assert_eq(word + option_step(1), VOTES_RANGE + 1);
}

Test(word, a_step_on_the_half_lets_the_deadline_move)
{
    _Atomic uint64_t word;
    uint32_t status = status_make(BUILD_BUILDING, 7);
    word_set(&word, build_word(status, 100));
    uint64_t seen = build_word(status, 50);
    uint64_t to = build_word(status_next(status, BUILD_COMPLETED), 0);
    cr_assert(!word_step(&word, &(uint64_t){seen}, to), "an expiry must not overtake a heartbeat");
    cr_assert(word_step_status(&word, seen, to));
    cr_assert(!word_step_status(&word, seen, to), "the status is another");
}

Test(word, a_heartbeat_that_was_stopped_takes_nothing_from_a_later_one)
{
    _Atomic uint64_t word;
    uint32_t assigned = status_make(BUILD_ASSIGNED, 7);
    uint32_t building = status_make(BUILD_BUILDING, 7);
    uint64_t seen = build_word(assigned, 20);
    word_set(&word,
             build_word(assigned, 50)); /* the deadline of a heartbeat that came in between */
    cr_assert(word_prolong(&word, seen, building, 30));
    cr_assert_eq(word_get(&word), build_word(building, 50));
    seen = build_word(building, 20);
    cr_assert(word_prolong(&word, seen, building, 40));
    cr_assert_eq(word_get(&word), build_word(building, 50), "its deadline went back");
    cr_assert(word_prolong(&word, seen, building, 60));
    cr_assert_eq(word_get(&word), build_word(building, 60));
    word_set(&word, build_word(status_next(building, BUILD_PENDING), 0));
    cr_assert(!word_prolong(&word, seen, building, 70), "the status is another");
}
