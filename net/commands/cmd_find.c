/* FIND: the options of a poll that somebody may mean who is typing a label. */
#include "net/commands/cmd.h"

#include "engine/base/label.h"
#include "engine/read.h"
#include "net/commands/refusal.h"

enum outcome cmd_find(struct ask *ask)
{
    struct span poll = ask->request->words[0];
    struct label text;
    struct found_label rows[FOUND_MAX];
    if (!ask_name(ask, poll, "poll's name")) {
        return ASK_ANSWERED;
    }
    if (label_clean(ask->request->words[1], &text) != 0) {
        return ask_error(ask, TALLY_INVAL,
                         "a text is 1 to 50 characters of UTF-8, no control characters");
    }
    int count = edge_find(ask->edge, poll, label_span(&text), rows);
    if (count < 0) {
        return ask_refused(ask, count, "poll");
    }
    reply_rows(&ask->reply, (size_t)count);
    for (int i = 0; i < count; i++) {
        reply_row(&ask->reply);
        reply_number(&ask->reply, NULL, rows[i].id);
        reply_text(&ask->reply, NULL, rows[i].label);
        reply_end(&ask->reply);
    }
    return ASK_ANSWERED;
}
