/* The parts of tidy that need a disk: which files are read from it, and headers that compile alone.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tidy/tidy.h"
#include "tests/lib/count.h"

static char root[64];
static int root_fd = -1;

static void make_root(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof(root), "%.40s/tidy-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    cr_assert_not_null(mkdtemp(root));
    root_fd = open(root, O_RDONLY | O_DIRECTORY);
    cr_assert(root_fd >= 0);
}

static const char *const folders[] = {"wal", "wal/base", "build", "out", ".git", "tools"};
static const char *const files[] = {
    "wal/CMakeLists.txt", "wal/a.c",   "wal/base/good.h", "wal/base/bad.h",
    "wal/base/double.h",  "build/b.c", "out/c.c",         "out/CMakeCache.txt",
    ".git/d.c",           "tools/run", "tools/picture",   "wal/a.log",
};

static void remove_root(void)
{
    for (size_t i = 0; i < COUNT_OF(files); i++)
        unlinkat(root_fd, files[i], 0);
    unlinkat(root_fd, "wal/base", AT_REMOVEDIR);
    for (size_t i = 0; i < COUNT_OF(folders); i++)
        unlinkat(root_fd, folders[i], AT_REMOVEDIR);
    close(root_fd);
    cr_expect(rmdir(root) == 0, "%s is not empty", root);
}

static void put(const char *path, const char *text)
{
    int fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void make_folders(void)
{
    for (size_t i = 0; i < COUNT_OF(folders); i++)
        cr_assert_eq(mkdirat(root_fd, folders[i], 0700), 0);
}

TestSuite(tidy_load, .init = make_root, .fini = remove_root);

Test(tidy_load, reads_sources_and_passes_by_what_was_made)
{
    make_folders();
    for (size_t i = 0; i < COUNT_OF(files); i++)
        put(files[i], "text\n");
    put("tools/run", "#!/bin/sh\n");

    struct tree tree = {.root = root};
    cr_assert(tree_load(&tree));
    static const char *const wanted[] = {
        "tools/run",      "wal/CMakeLists.txt", "wal/a.c",
        "wal/base/bad.h", "wal/base/double.h",  "wal/base/good.h",
    };
    cr_expect_eq(tree.count, COUNT_OF(wanted));
    for (size_t i = 0; i < tree.count; i++)
        cr_expect_str_eq(tree.sources[i].path, wanted[i]);
    tree_fini(&tree);
}

Test(tidy_load, a_tree_that_is_not_there_is_an_error)
{
    struct tree tree = {.root = "/nonexistent"};
    cr_expect_not(tree_load(&tree));
}

/* Compiles the headers in the root; leaves in `out` what tidy says. */
static size_t compile_headers(char *out, size_t room)
{
    char include[80];
    snprintf(include, sizeof(include), "-I%s", root);
    char *compiler[] = {TIDY_COMPILER, "-std=gnu11", include, "-fsyntax-only", "-w", "-x",
                        "c",           "-",          NULL};
    struct tree tree = {.root = root};
    cr_assert(tree_load(&tree));
    struct report report = {.out = fmemopen(out, room, "w")};
    size_t found = tidy_check_headers(&tree, compiler, &report);
    fclose(report.out);
    tree_fini(&tree);
    return found;
}

Test(tidy_load, a_header_compiles_alone)
{
    char out[4096] = "";
    make_folders();
    put("wal/base/good.h",
        "#ifndef A\n#define A\n#include <stddef.h>\nstruct a {\n size_t n;\n};\n#endif\n");
    cr_expect_eq(compile_headers(out, sizeof(out)), 0, "%s", out);
    put("wal/base/bad.h", "#ifndef B\n#define B\nsize_t b(void);\n#endif\n");
    put("wal/base/double.h", "struct c {\n int n;\n};\n");
    cr_expect_eq(compile_headers(out, sizeof(out)), 2);
    cr_expect(strstr(out, "wal/base/bad.h:1: [header] does not compile alone") != NULL, "%s", out);
    cr_expect(strstr(out, "wal/base/double.h:1: [header]") != NULL, "%s", out);
}
