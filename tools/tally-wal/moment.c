/* Points in time as people write them. */
#include "tools/tally-wal/moment.h"

#include "wal/base/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads the fraction of a second at *at, in ms; further digits are dropped. */
static uint64_t fraction_ms(const char **at)
{
    uint64_t ms = 0;
    uint64_t unit = 100;
    for ((*at)++; is_digit(**at); (*at)++) {
        ms += (uint64_t)(**at - '0') * unit;
        unit /= 10;
    }
    return ms;
}

static bool parse_calendar(const char *text, uint64_t *time_ms)
{
    struct tm tm = {0};
    const char *at = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (at == NULL || !is_digit(text[0])) {
        return false;
    }
    uint64_t ms = *at == '.' && is_digit(at[1]) ? fraction_ms(&at) : 0;
    if (strcmp(at, "Z") != 0) {
        return false;
    }
    struct tm normal = tm;
    time_t seconds = timegm(&normal);
    if (seconds < 0 || normal.tm_mday != tm.tm_mday || normal.tm_sec != tm.tm_sec) {
        return false; /* the 30th of February, or a 60th second */
    }
    *time_ms = (uint64_t)seconds * 1000 + ms;
    return true;
}

bool moment_parse(const char *text, uint64_t *time_ms)
{
    char digits[MOMENT_TEXT_BYTES];
    size_t len = strlen(text);
    if (len > 2 && len < sizeof digits && strcmp(text + len - 2, "ms") == 0) {
        memcpy(digits, text, len - 2);
        digits[len - 2] = '\0';
        return number_parse(digits, time_ms);
    }
    return number_parse(text, time_ms) || parse_calendar(text, time_ms);
}

void moment_format(char text[MOMENT_TEXT_BYTES], uint64_t time_ms)
{
    struct tm tm;
    time_t seconds = (time_t)(time_ms / 1000);
    if (time_ms / 1000 > INT32_MAX * (uint64_t)64 || gmtime_r(&seconds, &tm) == NULL) {
        snprintf(text, MOMENT_TEXT_BYTES, "%llums", (unsigned long long)time_ms);
        return;
    }
    size_t len = strftime(text, MOMENT_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + len, MOMENT_TEXT_BYTES - len, ".%03uZ", (unsigned)(time_ms % 1000));
}
