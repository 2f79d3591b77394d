/* Replies, written piece by piece in the dialect of their connection. */
#ifndef TALLY_NET_PROTOCOL_REPLY_H
#define TALLY_NET_PROTOCOL_REPLY_H

#include "net/protocol/buf.h"
#include "wal/base/err.h"
#include "wal/base/glyph.h"
#include "wal/base/span.h"

#include <stdint.h>

enum {
    REPLY_ERR_BYTES_MAX = 400, /* of an error's text, its end included */
    /* most bytes that reply_quote makes of one byte; two more for the quotes */
    REPLY_ESCAPED_BYTES_MAX = GLYPH_QUOTED_BYTES_MAX,
};

/*
 * A reply is one of
 *     reply_ok                                      OK
 *     reply_begin, fields, reply_end                OK field key=value ...
 *     reply_begin, fields, reply_blob               OK field ... $N, and N bytes
 *     reply_rows, then for each row reply_row, fields, reply_end or reply_blob
 *     reply_nil                                     NIL
 *     reply_err                                     ERR CODE text
 * Commands write replies only through these functions, so that they need not know the dialect.
 */
struct reply {
    struct buf *to;
    bool is_first; /* the next field is the first of its row: no blank before it */
    bool is_err;   /* reply_err wrote this reply */
};

void reply_ok(struct reply *reply);
void reply_nil(struct reply *reply);

/* `OK n` */
void reply_ok_number(struct reply *reply, uint64_t number);

void reply_begin(struct reply *reply);
void reply_rows(struct reply *reply, size_t count);
void reply_row(struct reply *reply);
void reply_end(struct reply *reply);
void reply_blob(struct reply *reply, struct span bytes);

/*
 * A long reply is made in pieces: each when the client has taken the one before. A piece is full at
 * REPLY_PIECE_BYTES, and the row that fills it may reach beyond. A blob in pieces is
 * reply_blob_begin, reply_blob_bytes, reply_end.
 */
enum { REPLY_PIECE_BYTES = 64 * 1024 };
static inline bool reply_is_full(const struct reply *reply)
{
    return buf_len(reply->to) >= REPLY_PIECE_BYTES;
}
void reply_blob_begin(struct reply *reply, size_t len_bytes);
/* Writes the bytes from `from` on that fit into the piece. Returns how many. */
size_t reply_blob_bytes(struct reply *reply, struct span bytes, size_t from);

/* One field. key NULL: by position. A name is written as it is; a text is quoted when it holds
 * anything but the characters of names. */
void reply_number(struct reply *reply, const char *key, uint64_t number);
void reply_name(struct reply *reply, const char *key, struct span name);
void reply_text(struct reply *reply, const char *key, struct span text);

/* part as a percentage of whole, rounded to one decimal: `33.3`; `100.0` only if part is whole. */
void reply_percent(struct reply *reply, uint64_t part, uint64_t whole);

/* The text is one line, cut at 400 bytes; characters that a terminal would obey (wal/base/glyph.h)
 * become '?'. */
void reply_err(struct reply *reply, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes a text as reply_text does: characters that a terminal would obey are escaped. For parts of
 * an error's text; characters that do not fit the room are left out. */
size_t reply_quote(char *to, size_t room, struct span text);

#endif
