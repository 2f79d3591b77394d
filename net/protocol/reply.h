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
    /* what reply_quote makes of a byte; two more for the quotes */
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
 * Commands write replies only through these, so that they need not know the dialect.
 */
struct reply {
    struct buf *to;
    bool is_first; /* of the fields of a row: no blank before it */
    bool is_err;   /* reply_err wrote it */
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
 * A long reply is made in pieces: the next one when the client has taken the last. A piece is full
 * at REPLY_PIECE_BYTES, and takes one row more at most. A blob in pieces is reply_blob_begin,
 * reply_blob_bytes, reply_end.
 */
enum { REPLY_PIECE_BYTES = 64 * 1024 };
static inline bool reply_is_full(const struct reply *reply)
{
    return buf_len(reply->to) >= REPLY_PIECE_BYTES;
}
void reply_blob_begin(struct reply *reply, size_t len_bytes);
/* Writes what of them fits into the piece, from `from` on. Returns how many bytes. */
size_t reply_blob_bytes(struct reply *reply, struct span bytes, size_t from);

/* One field. key NULL: by position. A name is written as it is; a text is quoted when it holds
 * anything but the characters of names. */
void reply_number(struct reply *reply, const char *key, uint64_t number);
void reply_name(struct reply *reply, const char *key, struct span name);
void reply_text(struct reply *reply, const char *key, struct span text);

/* A share of a hundred with one decimal, rounded: `33.3`; `100.0` only for all of it. */
void reply_percent(struct reply *reply, uint64_t part, uint64_t whole);

/* The text is one line, cut at 400 bytes; what a terminal would obey (wal/base/glyph.h) becomes
 * '?'. */
void reply_err(struct reply *reply, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes a text as reply_text does: what a terminal would obey is escaped. For parts of an error's
 * text; with less room than it may take, what does not fit is left out. */
size_t reply_quote(char *to, size_t room, struct span text);

#endif
