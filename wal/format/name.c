/* Names of the log's files: a prefix, a number in 16 hex digits, a suffix. */
#include "wal/format/name.h"

#include <string.h>

bool wal_name_has_number(const char *name, const char *prefix, const char *suffix, uint64_t *number)
{
    enum { DIGITS = 16 };
    uint64_t n = 0;
    size_t skip = strlen(prefix);
    if (strlen(name) != skip + DIGITS + strlen(suffix) || strncmp(name, prefix, skip) != 0 ||
        strcmp(name + skip + DIGITS, suffix) != 0) {
        return false;
    }
    for (size_t i = skip; i < skip + DIGITS; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = strchr(digits, name[i]);
        if (digit == NULL) {
            return false;
        }
        n = n << 4 | (uint64_t)(digit - digits);
    }
    *number = n;
    return n != 0;
}
