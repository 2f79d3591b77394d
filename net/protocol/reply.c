/* Replies, written in the line dialect. */
#include "net/protocol/reply.h"

#include "net/protocol/number.h"
#include "wal/base/check.h"
#include "wal/base/glyph.h"

#include <stdarg.h>
#include <stdio.h>

static void put(struct reply *reply, const char *text)
{
    buf_put(reply->to, text, strlen(text));
}

static void put_number(struct reply *reply, uint64_t number)
{
    char digits[NUMBER_DIGITS_MAX];
    buf_put(reply->to, digits, number_write(digits, number));
}

void reply_ok(struct reply *reply)
{
    put(reply, "OK\r\n");
}

void reply_nil(struct reply *reply)
{
    put(reply, "NIL\r\n");
}

void reply_ok_number(struct reply *reply, uint64_t number)
{
    char line[NUMBER_DIGITS_MAX + 5] = "OK ";
    size_t len = 3 + number_write(line + 3, number);
    memcpy(line + len, "\r\n", 2);
    buf_put(reply->to, line, len + 2);
}

void reply_begin(struct reply *reply)
{
    reply->is_first = false;
    put(reply, "OK");
}

void reply_rows(struct reply *reply, size_t count)
{
    put(reply, "OK *");
    put_number(reply, count);
    put(reply, "\r\n");
}

void reply_row(struct reply *reply)
{
    reply->is_first = true;
}

void reply_end(struct reply *reply)
{
    put(reply, "\r\n");
}

static void put_key(struct reply *reply, const char *key)
{
    if (!reply->is_first) {
        put(reply, " ");
    }
    reply->is_first = false;
    if (key != NULL) {
        put(reply, key);
        put(reply, "=");
    }
}

void reply_blob_begin(struct reply *reply, size_t len_bytes)
{
    DCHECK(!reply->is_err);
    put_key(reply, NULL);
    put(reply, "$");
    put_number(reply, len_bytes);
    put(reply, "\r\n");
}

size_t reply_blob_bytes(struct reply *reply, struct span bytes, size_t from)
{
    /* `from` is the number of these same bytes that were written already */
    CHECK(from <= bytes.len);
    size_t room = reply_is_full(reply) ? 0 : REPLY_PIECE_BYTES - buf_len(reply->to);
    size_t part = bytes.len - from < room ? bytes.len - from : room;
    buf_put(reply->to, bytes.at + from, part);
    return part;
}

void reply_blob(struct reply *reply, struct span bytes)
{
    reply_blob_begin(reply, bytes.len);
    buf_put(reply->to, bytes.at, bytes.len);
    put(reply, "\r\n");
}

void reply_number(struct reply *reply, const char *key, uint64_t number)
{
    put_key(reply, key);
    put_number(reply, number);
}

void reply_name(struct reply *reply, const char *key, struct span name)
{
    put_key(reply, key);
    buf_put(reply->to, name.at, name.len);
}

static bool is_plain(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     c == '_' || c == '.' || c == '-';
        if (!plain) {
            return false;
        }
    }
    return text.len > 0;
}

size_t reply_quote(char *to, size_t room, struct span text)
{
    size_t len = 0;
    if (is_plain(text) && text.len <= room) {
        memcpy(to, text.at, text.len);
        return text.len;
    }
    if (room < 2) {
        return 0;
    }
    to[len++] = '"';
    while (text.len > 0 && len + REPLY_ESCAPED_BYTES_MAX + 1 <= room) {
        len += glyph_quote(to + len, &text);
    }
    to[len++] = '"';
    DCHECK(len <= room);
    return len;
}

void reply_text(struct reply *reply, const char *key, struct span text)
{
    size_t room = text.len * REPLY_ESCAPED_BYTES_MAX + 2;
    /* texts are labels, names for people and errors, whose lengths are bounded */
    CHECK(text.len <= SIZE_MAX / REPLY_ESCAPED_BYTES_MAX - 1);
    put_key(reply, key);
    char *to = buf_room(reply->to, room);
    if (to != NULL) {
        buf_wrote(reply->to, reply_quote(to, room, text));
    }
}

void reply_percent(struct reply *reply, uint64_t part, uint64_t whole)
{
    DCHECK(part <= whole); /* one cut: an option's votes are in its poll's */
    uint64_t tenths = whole == 0 ? 0 : (part * 1000 + whole / 2) / whole;
    tenths = tenths == 1000 && part < whole ? 999 : tenths;
    put_key(reply, NULL);
    put_number(reply, tenths / 10);
    put(reply, ".");
    put_number(reply, tenths % 10);
}

void reply_err(struct reply *reply, int err, const char *format, ...)
{
    char text[REPLY_ERR_BYTES_MAX];
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    /* the formats are literals without multibyte conversions */
    CHECK(wanted >= 0);
    size_t len = (size_t)wanted;
    len = len < sizeof(text) ? len : sizeof(text) - 1;
    reply->is_err = true;
    put(reply, "ERR ");
    put(reply, tally_err_name(err));
    put(reply, " ");
    for (size_t i = 0; i < len;) {
        size_t shown = glyph_shown((struct span){text + i, len - i});
        buf_put(reply->to, shown > 0 ? text + i : "?", shown > 0 ? shown : 1);
        i += shown > 0 ? shown : 1;
    }
    put(reply, "\r\n");
}
