/* Seeded bugs in the log: each must be caught by a suite, which is printed. */
#include "tests/crash/explore.h"
#include "tests/crash/logs.h"
#include "tests/crash/scripts.h"
#include "wal/base/mutant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int tally_mutant = MUTANT_NONE;

enum { IMAGES_SHORT = 30000, IMAGES_RANDOM = 40000 };

static const struct mutant_name {
    const char *name;
    const char *text;
} names[MUTANT_COUNT] = {
#define X(name, text) [MUTANT_##name] = {#name, text},
    MUTANT_LIST(X)
#undef X
};

static bool say(const char *suite, const struct explorer *explorer)
{
    char text[1024];
    if (explorer->failed) {
        explore_case_put(&explorer->found, text, sizeof(text));
        printf("caught by %s, image %" PRIu64 ": %s; %s\n", suite, explorer->images, text,
               explorer->text);
    }
    return explorer->failed;
}

static bool by_short_scripts(void)
{
    struct explorer explorer = {.failed = false};
    (void)scripts_short(&explorer, IMAGES_SHORT);
    return say("all short scripts", &explorer);
}

static bool by_random_scripts(void)
{
    struct explorer explorer = {.failed = false};
    struct scripts_random random = {.seed = {1}};
    while (!explorer.failed && explorer.images < IMAGES_RANDOM) {
        scripts_random_next(&random, &explorer);
    }
    return say("random scripts", &explorer);
}

static bool by_damage(void)
{
    struct logs_total total;
    logs_damage(&total, true, NULL);
    if (total.failed) {
        printf("caught by damage, case %" PRIu64 ": %s\n", total.cases, total.text);
    }
    return total.failed;
}

/* Returns how many suites caught it. */
static unsigned try_all(void)
{
    unsigned caught = 0;
    caught += by_short_scripts();
    caught += by_random_scripts();
    caught += by_damage();
    return caught;
}

int main(int argc, char **argv)
{
    for (int i = MUTANT_NONE + 1; argc > 1 && i < MUTANT_COUNT; i++) {
        if (strcmp(argv[1], names[i].name) == 0) {
            tally_mutant = i;
        }
    }
    if (argc > 1 && tally_mutant == MUTANT_NONE) {
        fprintf(stderr, "no such mutant: %s\n", argv[1]);
        return 64;
    }
    unsigned caught = try_all();
    if (tally_mutant == MUTANT_NONE) {
        printf("no mutant, caught by %u\n", caught);
        return caught == 0 ? 0 : 1;
    }
    printf("%s: %s: caught by %u of 3\n", names[tally_mutant].name, names[tally_mutant].text,
           caught);
    return caught > 0 ? 0 : 1;
}
