/* Similar labels, as an error's text names them. */
#include "net/commands/similar.h"

#include "engine/base/label.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(similar, no_label_is_cut_in_the_middle)
{
    char wide[LABEL_BYTES_MAX + 1];
    for (size_t i = 0; i < LABEL_BYTES_MAX; i += 4) {
        memcpy(wide + i, "\U0001F600", 4);
    }
    wide[LABEL_BYTES_MAX] = '\0';
    const struct found_label labels[] = {
        {1, SPAN("a b")}, {2, span_of(wide)}, {3, SPAN("plain")}, {4, SPAN("\u202E\"")}};
    char text[512];
    for (size_t room = 0; room < sizeof text; room++) {
        size_t len = similar_list(text, room, labels, 4);
        cr_assert_leq(len, room);
        size_t quotes = 0;
        for (size_t i = 0; i < len; i++) {
            quotes += text[i] == '"' && (i == 0 || text[i - 1] != '\\');
        }
        cr_assert_eq(quotes % 2, 0, "room %zu: %.*s", room, (int)len, text);
        cr_assert(len == 0 || text[0] == ' ');
    }
    size_t len = similar_list(text, sizeof text, labels, 4);
    char wanted[512];
    snprintf(wanted, sizeof wanted, " \"a b\" \"%s\" plain \"\\xE2\\x80\\xAE\\\"\"", wide);
    cr_assert(span_equal((struct span){text, len}, span_of(wanted)), "%.*s", (int)len, text);
}
