/* Similar labels: a poll's labels that resemble a label. */
#include "net/commands/similar.h"

#include "engine/base/label.h"
#include "wal/base/check.h"

#include <stdlib.h>

struct similar {
    struct reading reading;
    struct edge *edge;
    char poll[NAME_LEN_MAX];
    size_t poll_len;
    struct label label;
};

enum { ID_BYTES_MAX = sizeof("id= ") + 20 };
static const char clash[] = "the poll has this label already";
static const char intro[] = "; similar:";

size_t similar_list(char *to, size_t room, const struct found_label *labels, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        char quoted[LABEL_BYTES_MAX * REPLY_ESCAPED_BYTES_MAX + 2];
        size_t bytes = reply_quote(quoted, sizeof(quoted), labels[i].label);
        if (len + 1 + bytes > room) {
            break; /* half a label would be a different label */
        }
        to[len] = ' ';
        memcpy(to + len + 1, quoted, bytes);
        len += 1 + bytes;
    }
    DCHECK(len <= room);
    return len;
}

static bool format_similar(struct reading *reading, struct reply *reply)
{
    const struct similar *mine = (const struct similar *)reading;
    char text[REPLY_ERR_BYTES_MAX - sizeof(clash) - sizeof(intro) - ID_BYTES_MAX];
    struct found_label rows[FOUND_MAX];
    int count = edge_similar(mine->edge, (struct span){mine->poll, mine->poll_len},
                             label_span(&mine->label), rows);
    if (count <= 0) {
        reply_err(reply, TALLY_EXISTS, "%s", clash);
        return true;
    }
    size_t len = similar_list(text, sizeof(text) - 1, rows, (size_t)count);
    /* similar_list had room for one byte less than there are */
    CHECK(len < sizeof(text));
    text[len] = '\0';
    /* the label that clashes is there, and comes first */
    reply_err(reply, TALLY_EXISTS, "id=%llu %s%s%s", (unsigned long long)rows[0].id, clash,
              len > 0 ? intro : "", text);
    return true;
}

static void destroy_similar(struct reading *reading)
{
    free(reading);
}

struct reading *similar_new(struct edge *edge, struct span poll, struct span label)
{
    struct similar *mine = calloc(1, sizeof(*mine));
    if (mine == NULL || poll.len > sizeof(mine->poll) || label_clean(label, &mine->label) != 0) {
        free(mine);
        return NULL;
    }
    memcpy(mine->poll, poll.at, poll.len);
    mine->poll_len = poll.len;
    mine->edge = edge;
    mine->reading = (struct reading){.format = format_similar, .destroy = destroy_similar};
    return &mine->reading;
}
