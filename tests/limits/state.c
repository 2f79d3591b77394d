/* The state as a client can read it, as one text. */
#include "tests/limits/state.h"

#include "tests/lib/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 1024, POLLS_MAX = 32, NAME_MAX_BYTES = 80 };

static bool changes_by_itself(const char *word)
{
    static const char *const keys[] = {"lsn=", "rate_per_min=", "oldest_ms=", "seen_ms="};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        if (strncmp(word, keys[i], strlen(keys[i])) == 0) {
            return true;
        }
    }
    return false;
}

static void print_rows(FILE *out, struct client *client, const char *request)
{
    char word[WORD_MAX];
    const struct reply *reply = client_get(client, "%s", request);
    EXPECT(reply_is_ok(reply), "%s gave '%s'", request, reply->line);
    fprintf(out, "%s\n", request);
    for (size_t i = 0; i < reply->row_count; i++) {
        for (size_t w = 0; line_word(reply->rows[i], w, word, sizeof(word)); w++) {
            fprintf(out, "%s ", changes_by_itself(word) ? "" : word);
        }
        fprintf(out, "\n");
    }
}

static size_t poll_names(char names[POLLS_MAX][NAME_MAX_BYTES], struct client *client)
{
    const struct reply *reply = client_get(client, "POLLS");
    EXPECT(reply->row_count <= POLLS_MAX, "%zu polls", reply->row_count);
    for (size_t i = 0; i < reply->row_count; i++) {
        EXPECT(line_word(reply->rows[i], 0, names[i], NAME_MAX_BYTES), "POLLS has a line '%s'",
               reply->rows[i]);
    }
    return reply->row_count;
}

char *state_read(struct client *client)
{
    static char names[POLLS_MAX][NAME_MAX_BYTES];
    char request[NAME_MAX_BYTES + 16];
    char *text = NULL;
    size_t text_bytes = 0;
    FILE *out = open_memstream(&text, &text_bytes);
    EXPECT(out != NULL, "no memory");

    size_t polls = poll_names(names, client);
    print_rows(out, client, "POLLS");
    for (size_t i = 0; i < polls; i++) {
        snprintf(request, sizeof(request), "TALLY %.*s", NAME_MAX_BYTES, names[i]);
        print_rows(out, client, request);
    }
    print_rows(out, client, "QUEUES");
    print_rows(out, client, "BUILDS *");
    print_rows(out, client, "WORKERS");
    fclose(out);
    return text;
}

void state_expect(struct client *client, const char *before, const char *after_what)
{
    char *after = state_read(client);
    bool same = strcmp(before, after) == 0;
    if (!same) {
        printf("  before:\n%s  after:\n%s", before, after);
    }
    free(after);
    EXPECT(same, "'%s' changed something", after_what);
}
