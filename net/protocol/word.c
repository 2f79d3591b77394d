/* Comparing words of a request without regard to case. */
#include "net/protocol/word.h"

bool word_equal(struct span word, const char *upper)
{
    size_t i = 0;
    for (; i < word.len && upper[i] != '\0'; i++) {
        char c = word.at[i];
        if ((c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c) != upper[i]) {
            return false;
        }
    }
    return i == word.len && upper[i] == '\0';
}
