/* Decimal numbers on the wire: read strictly, written two digits at a time. */
#include "net/protocol/number.h"

#include "wal/base/check.h"

int number_read(struct span word, uint64_t min, uint64_t max, uint64_t *number)
{
    uint64_t sum = 0;
    bool over = false;
    /* all callers pass constants */
    CHECK(min <= max);
    for (size_t i = 0; i < word.len; i++) {
        unsigned digit = (unsigned)(unsigned char)word.at[i] - '0';
        if (digit > 9) {
            return TALLY_INVAL;
        }
        over = over || sum > (UINT64_MAX - digit) / 10;
        sum = over ? sum : sum * 10 + digit;
    }
    if (word.len == 0) {
        return TALLY_INVAL;
    }
    if (over || sum < min || sum > max) {
        return TALLY_RANGE;
    }
    *number = sum;
    return 0;
}

static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

static size_t digits_of(uint64_t number)
{
    size_t digits = 1;
    for (; number >= 10000; number /= 10000) {
        digits += 4;
    }
    return digits + (number >= 10) + (number >= 100) + (number >= 1000);
}

/* Writes straight to `to`: copying a few bytes, of unknown number, costs more than the digits. */
size_t number_write(char *to, uint64_t number)
{
    size_t len = digits_of(number);
    DCHECK(len <= NUMBER_DIGITS_MAX);
    size_t at = len;
    while (number >= 100) {
        at -= 2;
        memcpy(to + at, pairs + number % 100 * 2, 2);
        number /= 100;
    }
    if (number >= 10) {
        memcpy(to, pairs + number * 2, 2);
    } else {
        to[0] = (char)('0' + number);
    }
    return len;
}
