/* A voter's UUID is its number, mixed. */
#include "bench/voter.h"

#include <stddef.h>
#include <stdio.h>

/* A bijection, so that two numbers never get one name; it is the end of splitmix64. */
static uint64_t mixed(uint64_t number)
{
    uint64_t z = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9u;

    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void voter_name(char name[VOTER_ROOM], uint64_t number, bool is_short)
{
    static const char form[] = "xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx";
    const uint64_t half[2] = {mixed(number), mixed(~number)};
    size_t digit = 0;

    if (is_short) {
        snprintf(name, VOTER_ROOM, "v%llu", (unsigned long long)number);
        return;
    }
    for (size_t i = 0; i < sizeof form; i++) {
        name[i] = form[i];
        if (form[i] == 'x') {
            name[i] = "0123456789abcdef"[half[digit / 16] >> (digit % 16 * 4) & 15];
            digit++;
        }
    }
}
