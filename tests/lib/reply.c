/* Questions about a reply: its words, its key=value fields, its code. */
#include "tests/lib/client.h"

#include <stdlib.h>
#include <string.h>

bool reply_is(const struct reply *reply, const char *line)
{
    return reply != NULL && strcmp(reply->line, line) == 0;
}

bool reply_is_ok(const struct reply *reply)
{
    return reply != NULL && strncmp(reply->line, "OK", 2) == 0 &&
           (reply->line[2] == '\0' || reply->line[2] == ' ');
}

bool reply_is_err(const struct reply *reply, const char *code)
{
    size_t length = strlen(code);
    return reply != NULL && strncmp(reply->line, "ERR ", 4) == 0 &&
           strncmp(reply->line + 4, code, length) == 0 &&
           (reply->line[4 + length] == ' ' || reply->line[4 + length] == '\0');
}

/* Returns the end of the word at `word`; blanks inside quotes are part of it. */
static const char *word_end(const char *word)
{
    bool quoted = false;
    for (; *word != '\0' && (quoted || *word != ' '); word++) {
        if (*word == '"') {
            quoted = !quoted;
        } else if (quoted && *word == '\\' && word[1] != '\0') {
            word++;
        }
    }
    return word;
}

static bool copy_word(const char *start, const char *end, char *word, size_t room)
{
    size_t length = (size_t)(end - start);
    if (length >= room) {
        return false;
    }
    memcpy(word, start, length);
    word[length] = '\0';
    return true;
}

static uint64_t to_number(const char *word)
{
    char *end;
    if (word[0] < '0' || word[0] > '9') {
        return UINT64_MAX;
    }
    uint64_t number = strtoull(word, &end, 10);
    return *end == '\0' ? number : UINT64_MAX;
}

bool line_word(const char *line, size_t index, char *word, size_t room)
{
    while (*line != '\0') {
        const char *end = word_end(line);
        if (index-- == 0) {
            return copy_word(line, end, word, room);
        }
        line = *end == ' ' ? end + 1 : end;
    }
    return false;
}

uint64_t line_number(const char *line, size_t index)
{
    char word[32];
    return line_word(line, index, word, sizeof(word)) ? to_number(word) : UINT64_MAX;
}

bool line_field(const char *line, const char *key, char *word, size_t room)
{
    size_t length = strlen(key);
    while (*line != '\0') {
        const char *end = word_end(line);
        if (strncmp(line, key, length) == 0 && line[length] == '=') {
            return copy_word(line + length + 1, end, word, room);
        }
        line = *end == ' ' ? end + 1 : end;
    }
    return false;
}

uint64_t line_field_number(const char *line, const char *key)
{
    char word[32];
    return line_field(line, key, word, sizeof(word)) ? to_number(word) : UINT64_MAX;
}
