/* The parts of tally-wal by themselves: times, series, bars. */
#include "tests/lib/seed.h"
#include "tests/lib/count.h"
#include "tools/tally-wal/moment.h"
#include "tools/tally-wal/picture.h"
#include "tools/tally-wal/progress.h"
#include "tools/tally-wal/series.h"
#include "wal/base/number.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(inspect_parts, times_that_are_understood)
{
    static const struct {
        const char *text;
        uint64_t time_ms;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-21T10:00:00Z", 1795255200000},
        {"2026-11-21T10:00:00.5Z", 1795255200500},
        {"2026-11-21T10:00:00.0019Z", 1795255200001},
        {"2024-02-29T23:59:59.999Z", 1709251199999},
        {"1795255200000", 1795255200000},
        {"1795255200000ms", 1795255200000},
        {"0", 0},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        uint64_t time_ms = 1;
        cr_expect(moment_parse(good[i].text, &time_ms), "%s", good[i].text);
        cr_expect_eq(time_ms, good[i].time_ms, "%s", good[i].text);
    }
}

Test(inspect_parts, times_that_are_not)
{
    static const char *const bad[] = {
        "",
        "ms",
        "now",
        "-5",
        "+5",
        " 5",
        "5 ",
        "5s",
        "18446744073709551616",
        "2026-11-21",
        "2026-11-21T10:00Z",
        "2026-11-21T10:00:00",
        "2026-11-21 10:00:00Z",
        "2026-11-21T10:00:00+01:00",
        "2026-11-21T10:00:00.Z",
        "2026-11-21T10:00:00ZZ",
        "2026-02-29T10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T10:00:60Z",
        "1969-12-31T23:59:59Z",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        uint64_t time_ms;
        cr_expect_not(moment_parse(bad[i], &time_ms), "'%s'", bad[i]);
    }
}

Test(inspect_parts, a_time_that_is_written_is_read_back)
{
    struct seed seed = {1};
    for (int i = 0; i < 100000; i++) {
        char text[MOMENT_TEXT_BYTES];
        uint64_t time_ms = seed_below(&seed, (uint64_t)4102444800000);
        uint64_t back = 0;
        moment_format(text, time_ms);
        cr_assert(moment_parse(text, &back) && back == time_ms, "%s", text);
    }
    char text[MOMENT_TEXT_BYTES];
    uint64_t back = 0;
    moment_format(text, UINT64_MAX);
    cr_expect(moment_parse(text, &back) && back == UINT64_MAX, "%s", text);
}

Test(inspect_parts, a_series_loses_nothing_however_long_it_gets)
{
    for (uint64_t start = 1; start <= 20; start++) {
        struct seed seed = {start};
        static struct series series;
        uint64_t columns[100];
        uint64_t sum = 0;
        uint64_t time_ms = 1795255200000;
        memset(&series, 0, sizeof(series));
        for (int i = 0; i < 5000; i++) {
            uint64_t amount = seed_below(&seed, 1000);
            time_ms += seed_below(&seed, (uint64_t)1 << start);
            series_add(&series, time_ms, amount);
            sum += amount;
        }
        size_t count = series_columns(&series, columns, 100);
        cr_assert(count == 100 || start < 3);
        for (size_t i = 0; i < count; i++) {
            sum -= columns[i];
        }
        cr_expect_eq(sum, 0, "start %lu", (unsigned long)start);
    }
}

Test(inspect_parts, a_series_keeps_what_came_where_it_came)
{
    static struct series series;
    uint64_t columns[4];
    cr_expect_eq(series_columns(&series, columns, 4), 0);
    for (uint64_t i = 0; i < 4096; i++) {
        series_add(&series, 1000 + i, i < 3072 ? 0 : 1);
    }
    cr_assert_eq(series_columns(&series, columns, 4), 4);
    cr_expect(columns[0] == 0 && columns[1] == 0 && columns[2] == 0 && columns[3] == 1024);
}

/* Returns the drawing; the caller frees. */
static char *drawn(bool is_unicode, uint64_t value, uint64_t max)
{
    char *text;
    size_t len;
    struct picture picture = {.is_unicode = is_unicode, .columns = 80};
    picture.out = open_memstream(&text, &len);
    picture_bar(&picture, 4, value, max);
    fclose(picture.out);
    return text;
}

Test(inspect_parts, bars)
{
    static const struct {
        uint64_t value;
        uint64_t max;
        const char *unicode;
        const char *plain;
    } bars[] = {
        {0, 8, "    ", "    "}, {8, 8, "████", "####"},
        {4, 8, "██  ", "##  "}, {1, 1000000, "▏   ", ".   "},
        {3, 8, "█▌  ", "##  "}, {UINT64_MAX, UINT64_MAX, "████", "####"},
        {0, 0, "    ", "    "}, {9, 8, "████", "####"},
    };
    for (size_t i = 0; i < COUNT_OF(bars); i++) {
        char *unicode = drawn(true, bars[i].value, bars[i].max);
        char *plain = drawn(false, bars[i].value, bars[i].max);
        cr_expect_str_eq(unicode, bars[i].unicode, "bar %zu: '%s'", i, unicode);
        cr_expect_str_eq(plain, bars[i].plain, "bar %zu: '%s'", i, plain);
        free(unicode);
        free(plain);
    }
}

Test(inspect_parts, columns)
{
    static const uint64_t values[] = {0, 16, 8, 1};
    char *text;
    size_t len;
    struct picture picture = {.is_unicode = true, .columns = 80};
    picture.out = open_memstream(&text, &len);
    picture_columns(&picture, values, 4, 2, 1);
    fclose(picture.out);
    cr_expect_str_eq(text, "  █  \n  ██▁\n", "%s", text);
    free(text);
}

Test(inspect_parts, the_line_of_a_long_work)
{
    char line[256];
    struct progress progress = {.doing = "verifying", .total_bytes = 64 << 20};
    progress_line(line, sizeof(line), 60, &progress, 32 << 20);
    cr_expect_str_eq(line, "verifying [##########..........]  50 % of 64.0 MiB", "%s", line);
    progress_line(line, sizeof(line), 60, &progress, 65 << 20);
    cr_expect_str_eq(line, "verifying [####################] 100 % of 64.0 MiB", "%s", line);
    cr_expect_lt(progress_line(line, sizeof(line), 5000, &progress, 1), sizeof(line));
}

Test(inspect_parts, a_number_is_digits_and_nothing_else)
{
    static const char *const wrong[] = {"",   "-1",   "+1", " 1",  "1 ",
                                        "1k", "0x10", "1.", "1e3", "18446744073709551616"};
    uint64_t number = 7;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        cr_expect_not(number_parse(wrong[i], &number), "'%s'", wrong[i]);
        cr_expect_eq(number, 7);
    }
    cr_expect(number_parse("18446744073709551615", &number) && number == UINT64_MAX);
    cr_expect(number_parse("007", &number) && number == 7);
    cr_expect(number_parse("0", &number) && number == 0);
}
