/* Error codes: no code is an errno value, and errno values are translated in one place. */
#include "wal/base/err.h"
#include "tests/lib/count.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const int codes[] = {
#define X(name, text) TALLY_##name,
    TALLY_ERR_LIST(X)
#undef X
};

enum { CODES = COUNT_OF(codes), ERRNO_MAX = 4095 };

Test(wal_err, a_code_is_no_errno_value)
{
    for (size_t i = 0; i < CODES; i++) {
        cr_expect_lt(codes[i], -1000, "%s", tally_err_name(codes[i]));
        cr_expect_null(strerrorname_np(-codes[i]), "%s", tally_err_name(codes[i]));
        cr_expect_eq(tally_err_of(codes[i]), codes[i], "%s stays", tally_err_name(codes[i]));
        cr_expect_str_eq(tally_err_reason(codes[i]), tally_err_text(codes[i]));
    }
    cr_expect_str_eq(tally_err_name(TALLY_OK), "OK");
    cr_expect_str_eq(tally_err_name(-(int)ENOENT), "?", "an errno value has no name here");
    cr_expect_str_eq(tally_err_name(codes[CODES - 1] - 1), "?");
    cr_expect_str_eq(tally_err_name(1), "?");
}

Test(wal_err, every_errno_value_becomes_a_code)
{
    for (int errnum = 1; errnum < ERRNO_MAX; errnum++) {
        if (strerrorname_np(errnum) != NULL) {
            cr_expect_lt(tally_err_of(-errnum), -1000, "%s", strerrorname_np(errnum));
            cr_expect_neq(strlen(tally_err_reason(-errnum)), 0, "%s", strerrorname_np(errnum));
        }
    }
    cr_expect_eq(tally_err_of(-ENOSPC), TALLY_NOSPC);
    cr_expect_eq(tally_err_of(-EDQUOT), TALLY_NOSPC);
    cr_expect_eq(tally_err_of(-EFBIG), TALLY_NOSPC);
    cr_expect_eq(tally_err_of(-ENOMEM), TALLY_NOMEM);
    cr_expect_eq(tally_err_of(-EROFS), TALLY_DENIED);
    cr_expect_eq(tally_err_of(-EIO), TALLY_IO);
    cr_expect_eq(tally_err_of(0), 0);
    cr_expect_eq(tally_err_of(3), 3, "a number of bytes stays");
    cr_expect_str_eq(tally_err_reason(-EMEDIUMTYPE), "it is not a regular file");
}
