/* Growing text, and the two forms of RESP: bulk strings and arrays. */
#include "bench/text.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

void text_reserve(struct text *t, size_t more)
{
    if (t->room - t->len >= more) {
        return;
    }
    size_t room = t->room > 0 ? t->room : 4096;
    while (room - t->len < more) {
        room *= 2;
    }
    char *at = realloc(t->at, room);
    if (at == NULL) {
        errx(EX_OSERR, "out of memory");
    }
    t->at = at;
    t->room = room;
}

void text_add(struct text *t, const char *bytes, size_t len)
{
    text_reserve(t, len);
    memcpy(t->at + t->len, bytes, len);
    t->len += len;
}

void text_add_string(struct text *t, const char *string)
{
    text_add(t, string, strlen(string));
}

void text_add_number(struct text *t, uint64_t number)
{
    char digits[20];
    size_t first = sizeof digits;

    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    text_add(t, digits + first, sizeof digits - first);
}

void text_add_bulk(struct text *t, const char *bytes, size_t len)
{
    text_add_string(t, "$");
    text_add_number(t, len);
    text_add_string(t, "\r\n");
    text_add(t, bytes, len);
    text_add_string(t, "\r\n");
}

void text_add_command(struct text *t, size_t words, const char *const word[])
{
    text_add_string(t, "*");
    text_add_number(t, words);
    text_add_string(t, "\r\n");
    for (size_t i = 0; i < words; i++) {
        text_add_bulk(t, word[i], strlen(word[i]));
    }
}

void text_fini(struct text *t)
{
    free(t->at);
    *t = (struct text){0};
}
