/* A1 to A5: votes cast at once are all counted, once, also after a crash. */
#include "tests/accept/vote_race.h"
#include "tests/lib/check.h"

static void a1_hundred_clients(void)
{
    vote_race_run(&(struct vote_race){.runs = VOTE_RACE_RUNS, .voters = 100, .options = 1});
}

static void a2_twenty_events(void)
{
    vote_race_run(&(struct vote_race){.runs = VOTE_RACE_RUNS, .voters = 20, .options = 1});
}

static void a3_three_options(void)
{
    vote_race_run(&(struct vote_race){.runs = VOTE_RACE_RUNS, .voters = 90, .options = 3});
}

static void a4_on_top_of_existing(void)
{
    vote_race_run(
        &(struct vote_race){.runs = VOTE_RACE_RUNS, .voters = 25, .options = 1, .before = 50});
}

static void a5_bad_ids(void)
{
    vote_race_bad_ids("free", " BY desk");
}

static const struct check_test tests[] = {
    {"A1: 100 clients vote at once and exactly 100 votes are counted", a1_hundred_clients},
    {"A2: the events of 20 concurrent votes are exactly 1 to 20", a2_twenty_events},
    {"A3: 3 options with 30 concurrent votes each have 30 each", a3_three_options},
    {"A4: 25 concurrent votes on top of 50 make 75", a4_on_top_of_existing},
    {"A5: an unknown id, a word and 12abc are an error each and nothing is counted", a5_bad_ids},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
