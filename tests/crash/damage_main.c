/* Damage to the log, at every place: right or refused, counted and printed. */
#include "tests/crash/logs.h"

#include <inttypes.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct logs_total total;
    bool is_short = argc > 1 && strcmp(argv[1], "--short") == 0;
    logs_damage(&total, is_short, stdout);
    if (total.failed) {
        printf("WRONG: %s\n", total.text);
        return 1;
    }
    printf("%" PRIu64 " cases of damage: %" PRIu64 " right, %" PRIu64 " refused, %" PRIu64
           " without the last block (unconfirmed), 0 wrong\n",
           total.cases, total.right, total.refused, total.shortened);
    return 0;
}
