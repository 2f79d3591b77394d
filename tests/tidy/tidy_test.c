/* Every rule of tidy is shown to fire on a bad sample, and to be silent on a good one beside it. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tidy/tidy.h"
#include "tests/lib/count.h"

/* A small tree of two files at most, and what is said about it. */
struct sample {
    const char *path;
    const char *text;
    const char *other_path; /* a second file, if there is one */
    const char *other_text;
    const char *says; /* a part of the message; NULL: nothing is found */
};

#define DOC "/* A sample. */\n"

static char out[1 << 16];
static size_t found;

/* Runs all rules over a sample; leaves the messages in `out` and their count in `found`. */
static void run(const struct sample *sample)
{
    char commands[512];
    snprintf(commands, sizeof(commands), "\"file\": \"/r/%s\"\n\"file\": \"/r/%s\"\n", sample->path,
             sample->other_path == NULL ? "" : sample->other_path);
    /* "lost" in a path is a file that no target builds. */
    struct tree tree = {
        .root = "/r",
        .commands = strstr(sample->path, "lost") == NULL ? commands : "[]",
        .skipped_max = 1,
    };
    tree_add(&tree, sample->path, sample->text);
    if (sample->other_path != NULL)
        tree_add(&tree, sample->other_path, sample->other_text);
    memset(out, 0, sizeof(out));
    struct report report = {.out = fmemopen(out, sizeof(out), "w")};
    cr_assert_not_null(report.out);
    found = tidy_check(&tree, &report);
    fclose(report.out);
    tree_fini(&tree);
}

static void check(const struct sample *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct sample *s = &samples[i];
        run(s);
        if (s->says == NULL) {
            cr_expect(found == 0, "sample %zu is good, but tidy says: %s", i, out);
            continue;
        }
        cr_expect(found == 1, "sample %zu has one fault, but tidy says: %s", i, out);
        cr_expect(strstr(out, s->says) != NULL, "sample %zu: tidy says '%s', not '%s'", i, out,
                  s->says);
    }
}

#define HEADER(guard, body) DOC "#ifndef " guard "\n#define " guard "\n" body "#endif\n"

Test(tidy, layers_see_only_what_is_below)
{
    static const char base_h[] = HEADER("TALLY_WAL_BASE_ERR_H", "");
    static const char wal_h[] = HEADER("TALLY_WAL_WAL_H", "");
    static const char engine_h[] = HEADER("TALLY_ENGINE_ENGINE_H", "");
    static const struct sample samples[] = {
        {"wal/base/a.c", DOC "#include \"wal/wal.h\"\n", "wal/wal.h", wal_h,
         "wal/base/a.c:2: [arrow] an arrow up: wal/base/ must not see \"wal/wal.h\""},
        {"wal/base/a.c", DOC "#include \"wal/base/err.h\"\n", "wal/base/err.h", base_h, NULL},
        {"wal/a.c", DOC "#include \"engine/engine.h\"\n", "engine/engine.h", engine_h, "[layer]"},
        {"wal/a.c", DOC "#include \"wal/base/err.h\"\n", "wal/base/err.h", base_h, NULL},
        {"engine/a.c", DOC "#include \"net/a.h\"\n", "net/a.h", HEADER("TALLY_NET_A_H", ""),
         "[layer]"},
        {"engine/a.c", DOC "#include \"wal/wal.h\"\n", "wal/wal.h", wal_h, NULL},
        {"net/a.c", DOC "#  include \"wal/wal.h\"\n", "wal/wal.h", wal_h, "[layer]"},
        {"net/a.c", DOC "#include \"engine/engine.h\"\n", "engine/engine.h", engine_h, NULL},
        {"tools/a.c", DOC "#include \"wal/wal.h\"\n", "wal/wal.h", wal_h, NULL},
        {"tests/unit/a.c", DOC "#include \"engine/engine.h\"\n", "engine/engine.h", engine_h, NULL},
        {"wal/a.c", DOC "#include \"err.h\"\n", "wal/base/err.h", base_h,
         "write the path from the root"},
        {"wal/a.c", DOC "/*\n#include \"net/a.h\"\n*/\n", NULL, NULL, NULL},
        {"extra/a.c", DOC, NULL, NULL, "in no layer"},
    };
    check(samples, COUNT_OF(samples));
}

Test(tidy, arrows_between_rooms_run_down)
{
    static const char state_h[] = HEADER("TALLY_ENGINE_STATE_STATE_H", "");
    static const char lane_h[] = HEADER("TALLY_ENGINE_EDGE_LANE_H", "");
    static const char wal_h[] = HEADER("TALLY_WAL_WAL_H", "");
    static const struct sample samples[] = {
        {"engine/state/a.c", DOC "#include \"engine/edge/lane.h\"\n", "engine/edge/lane.h", lane_h,
         "engine/state/a.c:2: [arrow] an arrow up: engine/state/ must not see "
         "\"engine/edge/lane.h\""},
        {"engine/edge/a.c", DOC "#include \"engine/state/state.h\"\n", "engine/state/state.h",
         state_h, NULL},
        {"engine/edge/a.c", DOC "#include \"engine/edge/lane.h\"\n", "engine/edge/lane.h", lane_h,
         NULL},
        {"wal/format/a.c", DOC "#include \"wal/wal.h\"\n", "wal/wal.h", wal_h, "[arrow]"},
        {"wal/a.c", DOC "#include \"wal/wal.h\"\n", "wal/wal.h", wal_h, NULL},
        {"net/protocol/a.c", DOC "#include \"net/io/a.h\"\n", "net/io/a.h",
         HEADER("TALLY_NET_IO_A_H", ""), "[arrow]"},
        {"net/protocol/a.c", DOC "#include \"engine/edge/lane.h\"\n", "engine/edge/lane.h", lane_h,
         NULL},
    };
    check(samples, COUNT_OF(samples));
}

Test(tidy, no_file_comes_back_to_itself_through_others)
{
    static const struct sample circle = {
        "engine/state/a.h", HEADER("TALLY_ENGINE_STATE_A_H", "#include \"engine/state/b.h\"\n"),
        "engine/state/b.h", HEADER("TALLY_ENGINE_STATE_B_H", "#include \"engine/state/a.h\"\n"),
        NULL};
    run(&circle);
    cr_expect(found == 2, "each end of the circle is told: %s", out);
    cr_expect(strstr(out, "engine/state/a.h:4: [circle] a circle: \"engine/state/b.h\"") != NULL,
              "%s", out);
    static const struct sample samples[] = {
        {"wal/a.h", HEADER("TALLY_WAL_A_H", "#include \"wal/a.h\"\n"), NULL, NULL, "[circle]"},
        {"wal/a.h", HEADER("TALLY_WAL_A_H", "#include \"wal/b.h\"\n"), "wal/b.h",
         HEADER("TALLY_WAL_B_H", ""), NULL},
    };
    check(samples, COUNT_OF(samples));
}

Test(tidy, no_two_structs_have_one_name)
{
    static const char one[] = DOC "struct row {\n    int a;\n};\n";
    static const struct sample samples[] = {
        {"engine/a.c", one, "net/b.c", DOC "enum row { A };\n",
         "net/b.c:2: [twin] two things are called row, the other one in engine/a.c"},
        {"engine/a.c", one, "net/b.c", DOC "struct row *a(struct row *b)\n{\n    return b;\n}\n",
         NULL},
        {"engine/a.c", one, "net/b.c", DOC "struct row_of {\n    int a;\n};\n", NULL},
        {"engine/a.c", one, "tests/b.c", one, NULL},
        {"tests/a.c", one, "tests/b.c", one, "tests/b.c:2: [twin] two things are called row"},
    };
    check(samples, COUNT_OF(samples));
}

Test(tidy, public_functions_say_whose_they_are)
{
    static const struct sample samples[] = {
        {"engine/state/wheel.h", HEADER("TALLY_ENGINE_STATE_WHEEL_H", "int turn(int by);\n"), NULL,
         NULL, "engine/state/wheel.h:4: [prefix] turn is public"},
        {"engine/state/wheel.h", HEADER("TALLY_ENGINE_STATE_WHEEL_H", "int wheel_turn(int by);\n"),
         NULL, NULL, NULL},
        {"engine/state/wheel.h",
         HEADER("TALLY_ENGINE_STATE_WHEEL_H",
                "static inline int wheels(int by)\n{\n    return turn(by);\n}\n"),
         NULL, NULL, "[prefix] wheels is public"},
        {"wal/read/scan.h", HEADER("TALLY_WAL_READ_SCAN_H", "int scan_run(int by);\n"), NULL, NULL,
         "[prefix]"},
        {"wal/read/scan.h",
         HEADER("TALLY_WAL_READ_SCAN_H", "int wal_scan_run(int (*visit)(int), int by);\n"), NULL,
         NULL, NULL},
        {"net/io/loop.h",
         HEADER("TALLY_NET_IO_LOOP_H", "struct a {\n    int (*run)(int);\n};\nint\nloop(int a)\n"
                                       "    __attribute__((noreturn));\n"),
         NULL, NULL, NULL},
        {"tests/a.h", HEADER("TALLY_TESTS_A_H", "int turn(int by);\n"), NULL, NULL, NULL},
    };
    check(samples, COUNT_OF(samples));
}

Test(tidy, the_formatter_leaves_tables_alone)
{
    static const struct sample samples[] = {
        {".clang-format", "Language: Cpp\nReflowComments: true\n", NULL, NULL,
         ".clang-format:1: [reflow]"},
        {".clang-format", "Language: Cpp\nReflowComments: false\n", NULL, NULL, NULL},
        {"wal/a.c", "/* A sample.\n *\n * put   walk   free\n */\n", NULL, NULL,
         "wal/a.c:3: [reflow]"},
        {"wal/a.c", "/* A sample.\n *\n * a \xe2\x94\x80 b\n */\n", NULL, NULL, "[reflow]"},
        {"wal/a.c", "/* A sample.\n *\n *     put   walk \xe2\x94\x80  free\n */\n", NULL, NULL,
         NULL},
        {"wal/a.c", DOC "int a; /* one.  Two. */\n", NULL, NULL, NULL},
    };
    check(samples, COUNT_OF(samples));
}

Test(tidy, foreign_libraries_stay_behind_their_fence)
{
    static const struct sample samples[] = {
        {"engine/list.c", DOC "#include <urcu/urcu-qsbr.h>\n", NULL, NULL,
         "fenced in by engine/base/rcu.h"},
        {"engine/list.c", DOC "#include <urcu-qsbr.h>\n", NULL, NULL,
         "fenced in by engine/base/rcu.h"},
        {"engine/base/rcu.h", HEADER("TALLY_ENGINE_BASE_RCU_H", "#include <urcu-qsbr.h>\n"), NULL,
         NULL, NULL},
        {"wal/format/block.c", DOC "#include <lz4.h>\n", NULL, NULL,
         "fenced in by wal/format/codec.c"},
        {"wal/format/codec.c", DOC "#include <lz4.h>\n#include <xxhash.h>\n", NULL, NULL, NULL},
        {"wal/checksum.c", DOC "#include <xxhash.h>\n", NULL, NULL, NULL},
        {"net/io/conn.c", DOC "#include <sys/epoll.h>\n", NULL, NULL, "fenced in by net/io/loop.c"},
        {"net/io/loop.c", DOC "#include <sys/epoll.h>\n", NULL, NULL, NULL},
        {"net/line.c", DOC "#include <utf8proc.h>\n", NULL, NULL,
         "fenced in by engine/base/label.c"},
        {"engine/base/label.c", DOC "#include <utf8proc.h>\n", NULL, NULL, NULL},
        {"bench/client.c", DOC "#include <sys/epoll.h>\n", NULL, NULL, NULL},
    };
    check(samples, COUNT_OF(samples));
}

Test(tidy, files_are_touched_in_one_file)
{
    static const struct sample samples[] = {
        {"wal/format/segment.c", DOC "int a = fdatasync(3);\n", NULL, NULL,
         "fdatasync() outside of wal/disk/file.c"},
        {"wal/base/clock.c", DOC "int a = open(p, 0);\n", NULL, NULL, "open() outside"},
        {"wal/disk/file.c", DOC "int a = fdatasync(3);\n", NULL, NULL, NULL},
        {"wal/format/segment.c", DOC "int a = io->open(p) + io.rename(p, q) + wal_open(p);\n", NULL,
         NULL, NULL},
        {"wal/format/segment.c",
         DOC "/* as with open(2): open(p) */\nconst char *s = \"open(p)\";\n", NULL, NULL, NULL},
        {"net/io/conn.c", DOC "int a = close(3);\n", NULL, NULL, NULL},
    };
    check(samples, COUNT_OF(samples));
}

Test(tidy, the_machine_is_asked_for_the_time_in_one_file)
{
    static const struct sample samples[] = {
        {"engine/a.c", DOC "int a = clock_wall_ms();\n", NULL, NULL,
         "only engine/base/time.c asks"},
        {"net/a.c", DOC "int a = time(NULL);\n", NULL, NULL, "only engine/base/time.c asks"},
        {"tools/a.c", DOC "int a = clock_gettime(0, &t);\n", NULL, NULL, "call clock_mono_ns()"},
        {"engine/base/time.c", DOC "int a = clock_wall_ms();\n", NULL, NULL, NULL},
        {"wal/base/clock.c", DOC "int a = clock_gettime(0, &t);\n", NULL, NULL, NULL},
        {"wal/a.c", DOC "int a = clock_mono_ns();\n", NULL, NULL, NULL},
    };
    check(samples, COUNT_OF(samples));
}

/* A text of `before`, `line` as often as told, and `after`. Lives until the next call. */
static const char *repeat(const char *before, const char *line, size_t times, const char *after)
{
    static char text[1 << 16];
    size_t at = (size_t)snprintf(text, sizeof(text), "%s", before);
    for (size_t i = 0; i < times; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", line);
    snprintf(text + at, sizeof(text) - at, "%s", after);
    return text;
}

static void check_one(const char *text, const char *says)
{
    struct sample sample = {"engine/a.c", text, NULL, NULL, says};
    check(&sample, 1);
}

Test(tidy, sizes_end_where_the_style_says)
{
    check_one(repeat(DOC, "int a;\n", 599, ""), NULL);
    check_one(repeat(DOC, "int a;\n", 600, ""), "engine/a.c:601: [size] 601 lines");
    check_one(repeat(DOC "/* ", "x", 94, " */\n"), NULL);
    check_one(repeat(DOC "/* ", "x", 95, " */\n"), "engine/a.c:2: [size] 101 columns");
    check_one(repeat(DOC "/* ", "\xc3\xa4", 94, " */\n"), NULL);
    check_one(repeat(DOC "static int\nf(void)\n{\n", "    f();\n", 66, "}\n"), NULL);
    check_one(repeat(DOC "static int\nf(void)\n{\n", "    f();\n", 67, "}\n"),
              "engine/a.c:2: [function] f has 71 lines");
    check_one(repeat(DOC "Test(suite, name)\n{\n", "    f();\n", 68, "}\n"), "Test has 71 lines");
    check_one(repeat(DOC "static const int table[] = {\n", "    1,\n", 90, "};\n"), NULL);
    check_one(repeat(DOC "struct s {\n", "    int a;\n", 90, "};\n"), NULL);
}

Test(tidy, parameters_are_six_at_most)
{
    check_one(DOC "int f(int a, int b, int c, int d, int e, int (*f)(int, int))\n{\n}\n", NULL);
    check_one(DOC "int f(int a, int b, int c, int d,\n      int e, int f, int g)\n{\n}\n",
              "f has 7 parameters");
    check_one(DOC "int f(int a, int b, int c, int d, int e, int f, int g) __attribute__((cold))\n"
                  "{\n}\n",
              "f has 7 parameters");
    check_one(DOC "#if A\nint f(void)\n{\n#else\nint f(int a)\n{\n#endif\n}\n"
                  "int g(int a, int b, int c, int d, int e, int f, int g)\n{\n}\n",
              "g has 7 parameters");
}

Test(tidy, blocks_nest_four_deep_at_most)
{
    check_one(DOC "int f(void)\n{\n if (a) {\n for (;;) {\n do {\n switch (a) {\n case 1:\n"
                  " x = (struct t){{1}};\n int v[] = {1};\n }\n } while (a);\n }\n }\n}\n",
              NULL);
    check_one(DOC "int f(void)\n{\n if (a) {\n for (;;) {\n do {\n switch (a) {\n case 1: {\n"
                  " b();\n }\n }\n } while (a);\n }\n }\n}\n",
              "engine/a.c:8: [function] f nests more than 4");
    check_one(DOC "int f(void)\n{\n if (a) {\n } else {\n for (;;) {\n while (1) {\n if (b) {\n"
                  " if (c) {\n }\n }\n }\n }\n }\n}\n",
              "nests more than 4");
}

Test(tidy, atomics_write_their_order)
{
    check_one(DOC "int a = atomic_load(&x);\n", "atomic_load leaves the order unsaid");
    check_one(DOC "int a = __sync_fetch_and_add(&x, 1);\n", "leaves the order unsaid");
    check_one(DOC "/* C1: relaxed: a count publishes nothing */\n"
                  "int a = atomic_load_explicit(&x, memory_order_relaxed);\n",
              NULL);
    check_one(DOC "void f(void)\n{\n    atomic_init(&x, 0);\n}\n", NULL);
    struct sample in_tests = {"tests/unit/a.c", DOC "int a = atomic_load(&x);\n", NULL, NULL,
                              "leaves the order unsaid"};
    check(&in_tests, 1);
}

Test(tidy, atomics_carry_a_tag)
{
    check_one(DOC "int a = atomic_load_explicit(&x, memory_order_relaxed);\n", "without a tag");
    check_one(DOC "/* C1: relaxed: a count */\n\n\nint a = atomic_load_explicit(&x,\n\n"
                  "  memory_order_relaxed);\n",
              NULL);
    check_one(DOC "/* C1: relaxed: a count */\n\n\n\nint a = atomic_load_explicit(&x, "
                  "memory_order_relaxed);\n",
              "without a tag");
    check_one(DOC "int a = atomic_load_explicit(&x, memory_order_relaxed); /* C1: a count */\n",
              NULL);
    check_one(DOC "/* XC1 C2x: C3 */\nint a = __atomic_load_n(&x, __ATOMIC_RELAXED);\n",
              "without a tag");
    check_one(DOC "/* C1: acquire, and no more */\n"
                  "int a = atomic_load_explicit(&x, memory_order_acquire);\n",
              "without a partner");
    check_one(DOC "/* C1: the strongest; pairs with C1 */\n"
                  "int a = atomic_load_explicit(&x, memory_order_seq_cst);\n",
              "without an argument");
    check_one(DOC "/* C1: seq_cst for Dekker; pairs with C1 */\n"
                  "int a = atomic_load_explicit(&x, memory_order_seq_cst);\n",
              NULL);
    struct sample in_tests = {"tests/unit/a.c",
                              DOC "int a = atomic_load_explicit(&x, memory_order_relaxed);\n", NULL,
                              NULL, NULL};
    check(&in_tests, 1);
}

Test(tidy, a_partner_exists_in_the_same_layer)
{
    static const char one[] = DOC "/* Q1: acquire; pairs with\n * Q2 and Q3 */\n"
                                  "int a = atomic_load_explicit(&x, memory_order_acquire);\n";
    static const char both[] = DOC "/* Q2: release; pairs with Q1 */\n/* Q3: as Q2 */\n";
    static const char half[] = DOC "/* Q2: release; pairs with Q1 */\n";
    static const struct sample samples[] = {
        {"engine/a.c", one, "engine/b.c", both, NULL},
        {"engine/a.c", one, "engine/b.h",
         HEADER("TALLY_ENGINE_B_H", "/* Q2: release; pairs with Q1 */\n"),
         "engine/a.c:3: [partner] pairs with Q3"},
        {"engine/edge/a.c", one, "engine/commit/b.c", both, NULL},
        {"engine/a.c", one, "engine/b.c", half, "pairs with Q3"},
    };
    check(samples, COUNT_OF(samples));

    struct sample elsewhere = {"engine/a.c", one, "net/b.c", both, NULL};
    run(&elsewhere);
    cr_expect(found == 3, "neither layer knows the other's tags: %s", out);
}

Test(tidy, guards_are_keyed_to_the_path_and_close_at_the_end)
{
    static const struct sample samples[] = {
        {"wal/base/err.h", HEADER("TALLY_WAL_BASE_ERR_H", "#if A\nint a;\n#endif\n"), NULL, NULL,
         NULL},
        {"wal/base/err.h", HEADER("TALLY_WAL_ERR_H", ""), NULL, NULL, "TALLY_WAL_BASE_ERR_H"},
        {"wal/base/err.h", DOC "#pragma once\nint a;\n", NULL, NULL, "the guard is missing"},
        {"wal/base/err.h", DOC "int a;\n" HEADER("TALLY_WAL_BASE_ERR_H", ""), NULL, NULL,
         "the guard is missing"},
        {"wal/a-b.h", HEADER("TALLY_WAL_A_B_H", "") "/* the end */\n\n", NULL, NULL, NULL},
        {"wal/a.h", HEADER("TALLY_WAL_A_H", "") "int a;\n", NULL, NULL,
         "wal/a.h:5: [guard] stands behind the guard's #endif"},
        {"wal/a.h", DOC, NULL, NULL, "the guard is missing"},
    };
    check(samples, COUNT_OF(samples));
}

Test(tidy, line_one_says_what_the_file_is)
{
    check_one(DOC, NULL);
    check_one("/* A sample, in words\n * that need two lines. */\n", NULL);
    check_one("#include <stdio.h>\n", "engine/a.c:1: [first-line]");
    check_one("/*\n * A sample.\n */\n", "[first-line]");
    check_one("", "[first-line]");
}

Test(tidy, banned_calls_come_with_the_remedy)
{
    check_one(DOC "int a = atoi(s);\n", "atoi() is banned: it has no error: parse digits");
    check_one(DOC "void f(void)\n{\n    strcpy(a, b);\n}\n", "engine/a.c:4: [banned] strcpy()");
    check_one(DOC "#define F(s) sprintf(s, \"\")\n", "use snprintf");
    check_one(DOC "int a = snprintf(s, 1, \"\") + my_atoi(s) + v->system(s); /* not atoi(s) */\n",
              NULL);
    check_one(DOC "void f(void)\n{\n    assert(a);\n}\n", "use CHECK");
    static const struct sample samples[] = {
        {"tests/kill/a.c", DOC "int a = usleep(3);\n", NULL, NULL, "readiness line"},
        {"bench/a.c", DOC "int a = usleep(3);\n", NULL, NULL, NULL},
    };
    check(samples, COUNT_OF(samples));
}

Test(tidy, a_check_says_why_nobody_can_make_it_fail)
{
    const struct sample samples[] = {
        {"net/io/loop.c", DOC "void f(void)\n{\n    CHECK(1);\n}\n", NULL, NULL,
         "net/io/loop.c:4: [check] a CHECK ends the process"},
        {"net/io/loop.c", DOC "void f(void)\n{\n    /* one is one */\n    CHECK(1);\n}\n", NULL,
         NULL, NULL},
        {"net/io/loop.c", DOC "void f(void)\n{\n    CHECK(1); /* one is one */\n}\n", NULL, NULL,
         NULL},
        {"tests/net/some.c", DOC "void f(void)\n{\n    CHECK(1);\n}\n", NULL, NULL, NULL},
    };
    check(samples, COUNT_OF(samples));
}

Test(tidy, bytes_from_outside_are_no_strings)
{
    static const struct sample samples[] = {
        {"engine/edge/read_build.c", DOC "char *a = strndup(error->at, error->len);\n", NULL, NULL,
         "engine/edge/read_build.c:2: [string] strndup() stops at a NUL"},
        {"net/io/run.c", DOC "int a = strncasecmp(word, verb, 4);\n", NULL, NULL,
         "named in c_strings"},
        {"tools/tally-wal/fields.c", DOC "size_t a = strnlen(text.at, text.len);\n", NULL, NULL,
         "a struct span"},
        {"wal/read/reader.c", DOC "struct span a = span_of(block);\n", NULL, NULL,
         "[string] span_of()"},
        {"net/protocol/reply.c", DOC "size_t a = strlen(text);\n", NULL, NULL, NULL},
        {"net/protocol/reply.c", DOC "char *a = strchr(text, 10);\n", NULL, NULL,
         "[string] strchr()"},
        {"tools/tally-wal/filter.c", DOC "size_t a = strcspn(list, comma);\n", NULL, NULL, NULL},
        {"engine/edge/read_build.c",
         DOC "const char *a = strerror(e) + v->strlen(a); /* strlen(a) */\n", NULL, NULL, NULL},
        {"tests/net/a.c", DOC "size_t a = strlen(text);\n", NULL, NULL, NULL},
    };
    check(samples, COUNT_OF(samples));
}

Test(tidy, reads_look_at_no_words)
{
    static const struct sample samples[] = {
        {"engine/edge/read.c", DOC "uint64_t a = word_get(&build->word);\n", NULL, NULL,
         "word_get() is banned: reads see the committed state"},
        {"engine/edge/read_build.c", DOC "void *a = ticket_first(list);\n", NULL, NULL,
         "a ticket lives by its word"},
        {"net/commands/cmd_show.c", DOC "uint64_t a = word_get(&build->word);\n", NULL, NULL,
         "[banned]"},
        {"engine/edge/edge_claim.c", DOC "uint64_t a = word_get(&build->word);\n", NULL, NULL,
         NULL},
    };
    check(samples, COUNT_OF(samples));
}

Test(tidy, nothing_is_left_over)
{
    check_one(DOC "/* TO"
                  "DO: later */\n",
              "engine/a.c:2: [left-over]");
    check_one(DOC "#if 0\nint a;\n#endif\n", "switched off");
    check_one(DOC "typedef struct a a;\n", "a typedef of a struct");
    check_one(DOC "typedef int (*handler)(int);\nint to"
                  "do;\n",
              NULL);
    static const struct sample samples[] = {
        {"tools/run",
         "#!/bin/sh\n# FIX"
         "ME: later\n",
         NULL, NULL, "tools/run:2: [left-over]"},
        {"README.md", "# A page\n", NULL, NULL, NULL},
    };
    check(samples, COUNT_OF(samples));
}

Test(tidy, a_skipped_test_has_a_reason)
{
    static const char two[] = DOC "/* skipped: one */\nTest(a, b, .disabled = true)\n{\n}\n"
                                  "/* skipped: two */\nTest(a, c, .disabled = true)\n{\n}\n";
    check_one(DOC "Test(a, b, .disabled = true)\n{\n}\n", "a skipped test without a reason");
    check_one(DOC "/* skipped: needs a kernel of 2030 */\nTest(a, b, .disabled = true)\n{\n}\n",
              NULL);
    check_one(DOC "bool disabled = true;\n", NULL);
    check_one(two, "2 tests are skipped, 1 were before");
    static const struct sample samples[] = {
        {"tests/a/CMakeLists.txt", "set_tests_properties(a PROPERTIES DISABLED ON)\n", NULL, NULL,
         "tests/a/CMakeLists.txt:1: [skipped]"},
        {"tests/a/CMakeLists.txt",
         "# skipped: why\nset_tests_properties(a PROPERTIES DISABLED ON)\n", NULL, NULL, NULL},
    };
    check(samples, COUNT_OF(samples));
}

Test(tidy, a_file_is_built_by_some_target)
{
    static const struct sample samples[] = {
        {"engine/lost.c", DOC, NULL, NULL, "engine/lost.c:1: [built] no target builds it"},
        {"engine/found.c", DOC, NULL, NULL, NULL},
        {"engine/lost.h", HEADER("TALLY_ENGINE_LOST_H", ""), NULL, NULL, NULL},
    };
    check(samples, COUNT_OF(samples));
}
