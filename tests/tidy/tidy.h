/* The tidy test: sources as text in memory, the rules over them, and the report the rules write. */
#ifndef TALLY_TESTS_TIDY_TIDY_H
#define TALLY_TESTS_TIDY_TIDY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum source_kind {
    SOURCE_C = 1,
    SOURCE_HEADER = 2,
    SOURCE_CMAKE = 4,
    SOURCE_TEXT = 8, /* scripts and pages */
};

/* One file. The views have the length and the lines of `text`; what a view leaves out is blank in
 * it. */
struct source {
    enum source_kind kind;
    char *path;     /* from the root of the project, as in "wal/format/block.c" */
    char *text;     /* as it was read, with a NUL behind it */
    char *code;     /* without comments, and without what stands inside of quotes */
    char *flow;     /* code without preprocessor directives */
    char *comments; /* comments only */
    size_t len_bytes;
    size_t *line_at; /* offset of the first byte of each line; line 1 is line_at[0] */
    size_t lines;
};

/* The project. Everything is in memory, so the rules' own tests need no disk. */
struct tree {
    const char *root;     /* as it stands in compile_commands.json */
    const char *commands; /* the text of compile_commands.json */
    size_t skipped_max;   /* so many skipped tests are known */
    struct source *sources;
    size_t count;
};

struct report {
    FILE *out;
    const char *rule; /* the one that is running; its name stands in the message */
    size_t found;
    size_t skipped; /* skipped tests, with or without a reason */
};

/* Adds a copy of `text` under `path`. */
void tree_add(struct tree *tree, const char *path, const char *text);

/* Adds every C file, header, CMake file, script and page below tree->root. Passes by what begins
 * with a dot, `data` and build directories. Returns whether all could be read; if not, it says on
 * stderr what could not. */
bool tree_load(struct tree *tree);

void tree_fini(struct tree *tree);

/* Runs every rule over every source. Returns how many faults were found. */
size_t tidy_check(const struct tree *tree, struct report *report);

/* Compiles each header by itself, included twice, with `compiler`: argv of a C compiler, ended by
 * NULL, without files. Returns how many faults were found. */
size_t tidy_check_headers(const struct tree *tree, char *const *compiler, struct report *report);

/* Writes "path:line: [rule] message", where the message ends with the remedy. */
__attribute__((format(printf, 4, 5))) void report_add(struct report *report,
                                                      const struct source *source, size_t line,
                                                      const char *format, ...);

/* Reading a source. Lines are counted from 1. */

size_t source_line(const struct source *source, size_t offset);
bool source_is_under(const struct source *source, const char *folder);

/* Whether line `n` includes something in these quotes, '"' or '<': leaves its name. */
enum { SOURCE_NAME_BYTES = 256 };
bool source_include(const struct source *source, size_t n, char name[SOURCE_NAME_BYTES],
                    char quote);

/* Finds the next identifier of `view` at or behind *at, and moves *at behind it. Returns false at
 * the end. */
bool word_next(const char *view, size_t *at, size_t *start, size_t *len);
bool word_is(const char *view, size_t start, size_t len, const char *word);

/* Whether the identifier that ends before `end` is called, and not as a member (`io->open(...)` is
 * not open). */
bool word_is_called(const char *view, size_t start, size_t len);

/* The rules, one file each subject. */
void rule_layers(const struct tree *tree, const struct source *source, struct report *report);
void rule_arrows(const struct tree *tree, const struct source *source, struct report *report);
void rule_circles(const struct tree *tree, const struct source *source, struct report *report);
void rule_twins(const struct tree *tree, const struct source *source, struct report *report);
void rule_prefixes(const struct tree *tree, const struct source *source, struct report *report);
void rule_reflow(const struct tree *tree, const struct source *source, struct report *report);
void rule_fences(const struct tree *tree, const struct source *source, struct report *report);
void rule_file_calls(const struct tree *tree, const struct source *source, struct report *report);
void rule_clocks(const struct tree *tree, const struct source *source, struct report *report);
void rule_sizes(const struct tree *tree, const struct source *source, struct report *report);
void rule_functions(const struct tree *tree, const struct source *source, struct report *report);
void rule_atomics(const struct tree *tree, const struct source *source, struct report *report);
void rule_partners(const struct tree *tree, const struct source *source, struct report *report);
void rule_guards(const struct tree *tree, const struct source *source, struct report *report);
void rule_first_line(const struct tree *tree, const struct source *source, struct report *report);
void rule_checks(const struct tree *tree, const struct source *source, struct report *report);
void rule_banned(const struct tree *tree, const struct source *source, struct report *report);
void rule_strings(const struct tree *tree, const struct source *source, struct report *report);
void rule_leftovers(const struct tree *tree, const struct source *source, struct report *report);
void rule_skipped(const struct tree *tree, const struct source *source, struct report *report);
void rule_built(const struct tree *tree, const struct source *source, struct report *report);

#endif
