/* The table of commands against itself and against the page that describes it. */
#include "net/commands/command.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* The whole page; the caller frees. */
static char *read_page(void)
{
    FILE *file = fopen(PROTOCOL_PAGE, "re");
    cr_assert_not_null(file, "no %s", PROTOCOL_PAGE);
    char *text = calloc(1, 1 << 20);
    size_t len = fread(text, 1, (1 << 20) - 1, file);
    cr_assert(len > 0);
    fclose(file);
    return text;
}

Test(command, every_verb_stands_in_the_page_as_in_help)
{
    char *page = read_page();
    char line[512];
    for (size_t i = 0; i < command_count; i++) {
        snprintf(line, sizeof(line), "\n    %s\n", commands[i].syntax);
        cr_expect_not_null(strstr(page, line), "net/PROTOCOL.md lacks the line '    %s'",
                           commands[i].syntax);
        snprintf(line, sizeof(line), "\n### %s\n", commands[i].verb);
        cr_expect_not_null(strstr(page, line), "net/PROTOCOL.md has no section for %s",
                           commands[i].verb);
    }
    free(page);
}

Test(command, the_page_has_no_verb_that_is_not_there)
{
    char *page = read_page();
    for (char *at = strstr(page, "\n### "); at != NULL; at = strstr(at + 1, "\n### ")) {
        struct span verb = {at + 5, strcspn(at + 5, "\n")};
        cr_expect_not_null(command_find(verb), "'%.*s'", (int)verb.len, verb.at);
    }
    free(page);
}

Test(command, every_code_an_error_can_have_stands_in_the_page)
{
    char *page = read_page();
    char row[64];
    for (int err = TALLY_SYNTAX; err >= TALLY_TIMEOUT; err--) {
        snprintf(row, sizeof(row), "\n| `%s` |", tally_err_name(err));
        cr_expect_not_null(strstr(page, row), "%s", tally_err_name(err));
    }
    free(page);
}

Test(command, verbs_are_found_in_any_case)
{
    for (size_t i = 0; i < command_count; i++) {
        char verb[32] = "";
        for (size_t k = 0; commands[i].verb[k] != '\0'; k++) {
            char c = commands[i].verb[k];
            cr_assert(c >= 'A' && c <= 'Z');
            verb[k] = (char)(k % 2 == 0 ? c | 0x20 : c);
        }
        cr_expect_eq(command_find(span_of(verb)), &commands[i], "%s", verb);
    }
    cr_expect_null(command_find(SPAN("VOTES")));
    cr_expect_null(command_find(SPAN("VOT")));
    cr_expect_null(command_find(SPAN("")));
    cr_expect_eq(command_payload(SPAN("NONSENSE")).kind, PAYLOAD_UNKNOWN_VERB);
    cr_expect_eq(command_payload(SPAN("submit")).kind, PAYLOAD_LAST);
}
