/* Crash images of the log: all short scripts, then random long ones, until enough were checked. */
#include "tests/crash/explore.h"

#include "tests/crash/scripts.h"
#include "wal/base/clock.h"
#include "wal/base/number.h"

#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct config {
    uint64_t images; /* the suite ends behind so many, and fails below */
    uint64_t minutes;
    uint64_t seed;
    const char *replay;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct config *config = state->input;
    uint64_t *to = key == 'i'   ? &config->images
                   : key == 'm' ? &config->minutes
                   : key == 's' ? &config->seed
                                : NULL;
    if (key == 'r') {
        config->replay = arg;
        return 0;
    }
    if (to == NULL) {
        return ARGP_ERR_UNKNOWN;
    }
    if (!number_parse(arg, to)) {
        argp_error(state, "not a number: %s", arg);
    }
    return 0;
}

static const struct argp_option options[] = {
    {"images", 'i', "N", 0, "check at least so many images", 0},
    {"minutes", 'm', "N", 0, "random scripts for so long, instead of the suite", 0},
    {"seed", 's', "N", 0, "of the random scripts", 0},
    {"replay", 'r', "CASE", 0, "one image, as a failure has printed it", 0},
    {0},
};

static int tell(struct explorer *explorer)
{
    char text[1024];
    if (!explorer->failed) {
        printf("%" PRIu64 " crash images (%" PRIu64 " of scripts, %" PRIu64
               " inside recoveries, %" PRIu64 " inside recoveries of those), %" PRIu64
               " recoveries, %" PRIu64 " file calls, 0 violations\n"
               "%" PRIu64 " recoveries from a snapshot, %" PRIu64
               " segments that retention took, %" PRIu64 " segments packed, 0 violations\n",
               explorer->images, explorer->images_by_depth[1], explorer->images_by_depth[2],
               explorer->images_by_depth[3], explorer->recoveries, explorer->calls, explorer->loads,
               explorer->removed, explorer->packed);
        return 0;
    }
    if (!explorer->is_replay) {
        explore_shrink(explorer);
    }
    explore_case_put(&explorer->found, text, sizeof(text));
    printf("VIOLATION after %" PRIu64 " images: %s\nagain: crash --replay '%s'\n", explorer->images,
           explorer->text, text);
    return 1;
}

static int repeat(const char *text)
{
    struct explorer explorer = {.is_replay = true};
    struct explore_case what;
    if (!explore_case_get(&what, text)) {
        fprintf(stderr, "crash: not a case: %s\n", text);
        return 64;
    }
    explore(&explorer, &what);
    return tell(&explorer);
}

static int run_minutes(const struct config *config)
{
    struct explorer explorer = {.failed = false};
    struct scripts_random random = {.seed = {config->seed}};
    uint64_t end_ms = clock_wall_ms() + config->minutes * 60000; /* the other is simulated */
    printf("seed %" PRIu64 "\n", config->seed);
    while (!explorer.failed && clock_wall_ms() < end_ms) {
        scripts_random_next(&random, &explorer);
    }
    return tell(&explorer);
}

static int run_suite(const struct config *config)
{
    struct explorer explorer = {.failed = false};
    struct scripts_random random = {.seed = {config->seed}};
    bool is_all = scripts_short(&explorer, config->images / 6 * 5);
    printf("%" PRIu64 " images of %s scripts of up to %d operations\n", explorer.images,
           is_all ? "all" : "some", SCRIPTS_SHORT);
    while (!explorer.failed && explorer.images < config->images) {
        scripts_random_next(&random, &explorer);
    }
    return tell(&explorer);
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, NULL, "Cuts the power under the log, again and again.", NULL, NULL, NULL};
    struct config config = {.images = 600000, .seed = 1};
    argp_parse(&argp, argc, argv, 0, NULL, &config);
    if (config.replay != NULL) {
        return repeat(config.replay);
    }
    return config.minutes > 0 ? run_minutes(&config) : run_suite(&config);
}
