/* tidy ROOT COMMANDS SKIPPED_MAX checks the sources below ROOT; tidy --headers ROOT CC FLAG...
 * compiles its headers. */
#include "tests/tidy/tidy.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t room = 0;
    if (file == NULL || getdelim(&text, &room, '\0', file) < 0)
        err(66, "%s", path);
    fclose(file);
    return text;
}

static int finish(struct tree *tree, const struct report *report)
{
    printf("%zu files, %zu faults\n", tree->count, report->found);
    tree_fini(tree);
    return report->found == 0 ? 0 : 1;
}

static int run_headers(const char *root, char *const *compiler)
{
    struct tree tree = {.root = root};
    struct report report = {.out = stdout};
    if (!tree_load(&tree))
        return 66;
    tidy_check_headers(&tree, compiler, &report);
    return finish(&tree, &report);
}

static int run_rules(const char *root, const char *commands_path, const char *skipped_max)
{
    char *commands = read_file(commands_path);
    struct tree tree = {
        .root = root,
        .commands = commands,
        .skipped_max = strtoul(skipped_max, NULL, 10),
    };
    struct report report = {.out = stdout};
    if (!tree_load(&tree))
        return 66;
    tidy_check(&tree, &report);
    free(commands);
    return finish(&tree, &report);
}

int main(int argc, char **argv)
{
    if (argc >= 4 && strcmp(argv[1], "--headers") == 0)
        return run_headers(argv[2], argv + 3);
    if (argc == 4)
        return run_rules(argv[1], argv[2], argv[3]);
    fprintf(stderr, "usage: tidy ROOT COMPILE_COMMANDS SKIPPED_MAX\n"
                    "       tidy --headers ROOT CC FLAG...\n");
    return 64;
}
