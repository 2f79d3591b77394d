/* Numbers on the wire: read strictly, written exactly. */
#include "net/protocol/number.h"
#include "tests/lib/count.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

static int read_text(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
    return number_read(span_of(text), min, max, number);
}

Test(number, reads_digits_and_nothing_else)
{
    static const char *const bad[] = {"",    " ",   "-1", "+1",  "1 ",  " 1",
                                      "12a", "0x1", "1.", "1e3", "1,0", "\xC2\xB9"};
    uint64_t number = 77;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        cr_expect_eq(read_text(bad[i], 0, UINT64_MAX, &number), TALLY_INVAL, "'%s'", bad[i]);
    }
    cr_expect_eq(number_read((struct span){"1\0", 2}, 0, 9, &number), TALLY_INVAL);
    cr_expect_eq(number, 77, "an error leaves the number alone");
    cr_expect_eq(read_text("007", 0, 9, &number), 0);
    cr_expect_eq(number, 7);
}

Test(number, knows_its_bounds)
{
    uint64_t number = 0;
    cr_expect_eq(read_text("99", 100, 200, &number), TALLY_RANGE);
    cr_expect_eq(read_text("100", 100, 200, &number), 0);
    cr_expect_eq(read_text("200", 100, 200, &number), 0);
    cr_expect_eq(read_text("201", 100, 200, &number), TALLY_RANGE);
    cr_expect_eq(read_text("18446744073709551615", 0, UINT64_MAX, &number), 0);
    cr_expect_eq(number, UINT64_MAX);
    cr_expect_eq(read_text("18446744073709551616", 0, UINT64_MAX, &number), TALLY_RANGE);
    cr_expect_eq(read_text("123456789012345678901234567890", 0, UINT64_MAX, &number), TALLY_RANGE);
    cr_expect_eq(read_text("123456789012345678901234567890x", 0, UINT64_MAX, &number), TALLY_INVAL);
}

static void expect_written(uint64_t number)
{
    char fast[NUMBER_DIGITS_MAX + 1];
    char slow[NUMBER_DIGITS_MAX + 1];
    fast[number_write(fast, number)] = '\0';
    snprintf(slow, sizeof(slow), "%" PRIu64, number);
    cr_expect_str_eq(fast, slow);
}

Test(number, writes_what_printf_writes)
{
    for (uint64_t number = 0; number < 20000; number++) {
        expect_written(number);
    }
    for (uint64_t power = 1; power < UINT64_MAX / 10; power *= 10) {
        expect_written(power - 1);
        expect_written(power);
        expect_written(power + 1);
    }
    expect_written(UINT64_MAX);
    expect_written(UINT64_MAX - 1);
}
