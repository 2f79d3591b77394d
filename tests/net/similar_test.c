/* Labels that are like a label. */
#include "net/similar.h"

#include <criterion/criterion.h>

static bool similar(const char *a, const char *b)
{
    return similar_to(span_of(a), span_of(b)) && similar_to(span_of(b), span_of(a));
}

Test(similar, without_regard_to_case_by_part_and_by_beginning)
{
    cr_expect(similar("Elixir", "eLIXIR"));
    cr_expect(similar("Java", "JavaScript"));
    cr_expect(similar("Objective-C", "c"));
    cr_expect(similar("Haskell", "hascal"));
    cr_expect(similar("\xC3\x89"
                      "clair",
                      "\xC3\xA9"
                      "clair"));
    cr_expect_not(similar("Go", "Rust"));
    cr_expect_not(similar("Elixir", "Erlang"));
    cr_expect_not(similar("Elixir", ""));
}
