/* The table of the rules, and the run over all of them. */
#include "tests/tidy/tidy.h"
#include "tests/lib/count.h"

#include <stdarg.h>

static const struct rule {
    const char *name;
    int kinds; /* of sources it reads */
    void (*check)(const struct tree *tree, const struct source *source, struct report *report);
} rules[] = {
    {"layer", SOURCE_C | SOURCE_HEADER, rule_layers},
    {"arrow", SOURCE_C | SOURCE_HEADER, rule_arrows},
    {"circle", SOURCE_C | SOURCE_HEADER, rule_circles},
    {"twin", SOURCE_C | SOURCE_HEADER | SOURCE_CMAKE | SOURCE_TEXT, rule_twins},
    {"prefix", SOURCE_HEADER, rule_prefixes},
    {"reflow", SOURCE_C | SOURCE_HEADER | SOURCE_TEXT, rule_reflow},
    {"fence", SOURCE_C | SOURCE_HEADER, rule_fences},
    {"file-call", SOURCE_C | SOURCE_HEADER, rule_file_calls},
    {"clock", SOURCE_C | SOURCE_HEADER, rule_clocks},
    {"size", SOURCE_C | SOURCE_HEADER, rule_sizes},
    {"function", SOURCE_C | SOURCE_HEADER, rule_functions},
    {"atomic", SOURCE_C | SOURCE_HEADER, rule_atomics},
    {"partner", SOURCE_C | SOURCE_HEADER, rule_partners},
    {"guard", SOURCE_HEADER, rule_guards},
    {"first-line", SOURCE_C | SOURCE_HEADER, rule_first_line},
    {"check", SOURCE_C | SOURCE_HEADER, rule_checks},
    {"banned", SOURCE_C | SOURCE_HEADER, rule_banned},
    {"string", SOURCE_C | SOURCE_HEADER, rule_strings},
    {"left-over", SOURCE_C | SOURCE_HEADER | SOURCE_CMAKE | SOURCE_TEXT, rule_leftovers},
    {"skipped", SOURCE_C | SOURCE_CMAKE, rule_skipped},
    {"built", SOURCE_C, rule_built},
};

void report_add(struct report *report, const struct source *source, size_t line, const char *format,
                ...)
{
    fprintf(report->out, "%s:%zu: [%s] ", source->path, line, report->rule);
    va_list args;
    va_start(args, format);
    vfprintf(report->out, format, args);
    va_end(args);
    fputc('\n', report->out);
    report->found++;
}

size_t tidy_check(const struct tree *tree, struct report *report)
{
    for (size_t i = 0; i < tree->count; i++) {
        const struct source *source = &tree->sources[i];
        for (size_t k = 0; k < COUNT_OF(rules); k++) {
            report->rule = rules[k].name;
            if ((rules[k].kinds & (int)source->kind) != 0)
                rules[k].check(tree, source, report);
        }
    }
    if (report->skipped > tree->skipped_max) {
        fprintf(report->out, "%zu tests are skipped, %zu were before: mend one first\n",
                report->skipped, tree->skipped_max);
        report->found++;
    }
    return report->found;
}
