/* Lines of other protocols, recognized by the first word, the last word, or control characters. */
#include "net/protocol/foreign.h"

#include "net/protocol/word.h"
#include "wal/base/glyph.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

bool foreign_begin(struct span part)
{
    size_t at = 0;
    while (at < part.len && is_blank(part.at[at])) {
        at++;
    }
    while (at < part.len && is_letter(part.at[at])) {
        at++;
    }
    return at < part.len && !is_blank(part.at[at]);
}

static struct span first_word(struct span line)
{
    size_t start = 0;
    while (start < line.len && is_blank(line.at[start])) {
        start++;
    }
    size_t end = start;
    while (end < line.len && !is_blank(line.at[end])) {
        end++;
    }
    return (struct span){line.at + start, end - start};
}

static struct span last_word(struct span line)
{
    size_t end = line.len;
    while (end > 0 && is_blank(line.at[end - 1])) {
        end--;
    }
    size_t start = end;
    while (start > 0 && !is_blank(line.at[start - 1])) {
        start--;
    }
    return (struct span){line.at + start, end - start};
}

bool foreign_line(struct span line)
{
    static const char *const methods[] = {"GET",     "HEAD",    "POST",  "PUT",   "DELETE",
                                          "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"};
    static const char version[] = "HTTP/";
    struct span word = first_word(line);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (word_equal(word, methods[i])) {
            return true;
        }
    }
    if (word.len > 0 && word.at[word.len - 1] == ':') {
        return true;
    }
    word = last_word(line);
    return word.len >= sizeof(version) - 1 &&
           word_equal((struct span){word.at, sizeof(version) - 1}, version);
}

bool foreign_is_text(struct span line)
{
    while (line.len > 0) {
        size_t shown = line.at[0] == '\t' ? 1 : glyph_shown(line);
        if (shown == 0) {
            return false;
        }
        line = (struct span){line.at + shown, line.len - shown};
    }
    return true;
}
