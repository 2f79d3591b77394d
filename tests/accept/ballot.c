/* A1 to A6 for votes with voters, with keys and with both, also after a crash. */
#include "tests/accept/vote_race.h"
#include "tests/lib/check.h"

#include <stddef.h>

enum { RUNS = 25 };

static const struct vote_race with_voters[] = {
    {.runs = RUNS, .voters = 100, .options = 1, .mode = "once", .has_voter = true},
    {.runs = RUNS,
     .voters = 20,
     .options = 1,
     .mode = "change",
     .has_voter = true,
     .has_key = true},
    {.runs = RUNS, .voters = 90, .options = 3, .mode = "once", .has_voter = true},
    {.runs = RUNS,
     .voters = 25,
     .options = 1,
     .before = 50,
     .mode = "once",
     .has_voter = true,
     .has_key = true},
};

static const struct vote_race with_keys[] = {
    {.runs = RUNS, .voters = 100, .options = 1, .has_key = true},
    {.runs = RUNS, .voters = 90, .options = 3, .has_key = true},
    {.runs = RUNS, .voters = 25, .options = 1, .before = 50, .has_voter = true, .has_key = true},
};

static void a1_hundred_voters(void)
{
    vote_race_run(&with_voters[0]);
}

static void a2_twenty_voters_with_keys(void)
{
    vote_race_run(&with_voters[1]);
}

static void a3_three_options_of_voters(void)
{
    vote_race_run(&with_voters[2]);
}

static void a4_voters_on_top(void)
{
    vote_race_run(&with_voters[3]);
}

static void a5_bad_ids_of_voters(void)
{
    vote_race_bad_ids("once", " VOTER v");
    vote_race_bad_ids("change", " VOTER v");
}

static void a1_hundred_keys(void)
{
    vote_race_run(&with_keys[0]);
}

static void a3_three_options_with_keys(void)
{
    vote_race_run(&with_keys[1]);
}

static void a4_keys_on_top(void)
{
    vote_race_run(&with_keys[2]);
}

static void a5_bad_ids_with_keys(void)
{
    vote_race_bad_ids("free", " KEY k");
}

static const struct check_test tests[] = {
    {"A1, A6: 100 voters vote at once, 100 are counted, and the log says what each was told",
     a1_hundred_voters},
    {"A2: 20 voters with keys are told 1 to 20", a2_twenty_voters_with_keys},
    {"A3: 3 options with 30 voters each have 30 each", a3_three_options_of_voters},
    {"A4: 25 voters with keys on top of 50 make 75", a4_voters_on_top},
    {"A5: bad ids of voters are an error each and nothing is counted", a5_bad_ids_of_voters},
    {"A1, A6: 100 keys at once, 100 are counted, and the log says what each was told",
     a1_hundred_keys},
    {"A3: 3 options with 30 keys each have 30 each", a3_three_options_with_keys},
    {"A4: 25 keys of voters in a free poll on top of 50 make 75", a4_keys_on_top},
    {"A5: bad ids with keys are an error each and nothing is counted", a5_bad_ids_with_keys},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
