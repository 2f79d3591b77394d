/* Labels that are like a label. */
#include "net/similar.h"

#include "engine/read.h"

#include <stdlib.h>

enum {
    POLL_BYTES_MAX = 64,
    LABEL_BYTES_MAX = 256,
    BEGINNING_BYTES = 3, /* so many alike make a beginning */
    TEXT_BYTES_MAX = 380,
};

struct similar {
    struct reading reading;
    struct read_tally tally;
    struct span label;
    char poll_bytes[POLL_BYTES_MAX];
    char label_bytes[LABEL_BYTES_MAX];
};

/* All bytes beyond ASCII become one: a suggestion may be wrong, and need not know Unicode. */
static unsigned char fold(char c)
{
    unsigned char byte = (unsigned char)c;
    if (byte >= 0x80) {
        return 0x80;
    }
    return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte - 'A' + 'a') : byte;
}

static bool alike(const char *a, const char *b, size_t len)
{
    size_t i = 0;
    while (i < len && fold(a[i]) == fold(b[i])) {
        i++;
    }
    return i == len;
}

static bool contains(struct span whole, struct span part)
{
    for (size_t i = 0; part.len > 0 && i + part.len <= whole.len; i++) {
        if (alike(whole.at + i, part.at, part.len)) {
            return true;
        }
    }
    return false;
}

bool similar_to(struct span a, struct span b)
{
    if (a.len >= BEGINNING_BYTES && b.len >= BEGINNING_BYTES &&
        alike(a.at, b.at, BEGINNING_BYTES)) {
        return true;
    }
    return contains(a, b) || contains(b, a);
}

static struct span trim(struct span label)
{
    while (label.len > 0 && label.at[0] == ' ') {
        label.at++;
        label.len--;
    }
    while (label.len > 0 && label.at[label.len - 1] == ' ') {
        label.len--;
    }
    return label;
}

static bool is_same(struct span a, struct span b)
{
    return a.len == b.len && alike(a.at, b.at, a.len);
}

static void format(struct reading *reading, struct reply *reply)
{
    const struct similar *mine = (const struct similar *)reading;
    char text[TEXT_BYTES_MAX + 1];
    size_t len = 0;
    unsigned count = 0;
    if (mine->tally.read.err != 0) {
        reply_err(reply, TALLY_EXISTS, "the poll has this label already");
        return;
    }
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < mine->tally.row_count && count < SIMILAR_MAX; i++) {
            struct span label = mine->tally.rows[i].label;
            bool same = is_same(label, mine->label);
            bool wanted = pass == 0 ? same : !same && similar_to(label, mine->label);
            if (wanted && len + label.len + 5 < TEXT_BYTES_MAX) {
                text[len++] = ' ';
                len += reply_quote(text + len, TEXT_BYTES_MAX - len, label);
                count++;
            }
        }
    }
    text[len] = '\0';
    reply_err(reply, TALLY_EXISTS, "the poll has this label already; similar:%s", text);
}

static void destroy(struct reading *reading)
{
    read_tally_fini(&((struct similar *)reading)->tally);
    free(reading);
}

struct reading *similar_new(struct span poll, struct span label)
{
    struct similar *mine = calloc(1, sizeof(*mine));
    if (mine == NULL || poll.len > POLL_BYTES_MAX) {
        free(mine);
        return NULL;
    }
    label = trim(label);
    label.len = label.len < LABEL_BYTES_MAX ? label.len : LABEL_BYTES_MAX;
    memcpy(mine->poll_bytes, poll.at, poll.len);
    if (label.len > 0) {
        memcpy(mine->label_bytes, label.at, label.len);
    }
    mine->label = (struct span){mine->label_bytes, label.len};
    read_tally_init(&mine->tally, (struct span){mine->poll_bytes, poll.len}, SIZE_MAX);
    mine->reading = (struct reading){&mine->tally.read, format, destroy};
    return &mine->reading;
}
