/* The key: the right one is accepted, and similar ones are refused. */
#include "net/pipeline/auth.h"
#include "tests/lib/count.h"

#include <criterion/criterion.h>

static const char key[] = "0123456789abcdef0123456789ABCDEF";

Test(auth, takes_the_key_and_nothing_near_it)
{
    static const char *const wrong[] = {
        "",
        "0123456789abcdef0123456789ABCDE",
        "0123456789abcdef0123456789ABCDEf",
        "0123456789abcdef0123456789ABCDEF0",
        "1123456789abcdef0123456789ABCDEF",
    };
    struct auth auth;
    cr_assert(auth_init(&auth, key));
    cr_expect(auth.is_needed);
    cr_expect(auth_accepts(&auth, span_of(key)));
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        cr_expect_not(auth_accepts(&auth, span_of(wrong[i])), "'%s'", wrong[i]);
    }
    cr_expect_not(auth_accepts(&auth, (struct span){key, sizeof(key)}), "a NUL behind it");
    auth_fini(&auth);
}

Test(auth, long_keys)
{
    char text[AUTH_KEY_BYTES_MAX + 2];
    struct auth auth;
    memset(text, 'k', sizeof(text));
    text[AUTH_KEY_BYTES_MAX] = '\0';
    cr_assert(auth_init(&auth, text));
    cr_expect(auth_accepts(&auth, span_of(text)));
    text[AUTH_KEY_BYTES_MAX] = 'k';
    cr_expect_not(auth_accepts(&auth, (struct span){text, AUTH_KEY_BYTES_MAX + 1}));
    text[AUTH_KEY_BYTES_MAX + 1] = '\0';
    cr_expect_not(auth_init(&auth, text));
}

Test(auth, no_key_is_needed_without_one)
{
    struct auth auth;
    cr_assert(auth_init(&auth, NULL));
    cr_expect_not(auth.is_needed);
}
