/* Numbers as people write them in arguments. */
#include "wal/base/number.h"

#include <errno.h>
#include <stdlib.h>

bool number_parse(const char *text, uint64_t *number)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0) {
        return false;
    }
    *number = value;
    return true;
}
