/* Folding a dump: a line is a record, and each type of a poll's records has a function. */
#include "tests/lib/fold.h"

#include "tests/lib/client.h"
#include "tests/lib/dump.h"
#include "tests/lib/expect.h"

#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODE_FREE, MODE_ONCE, MODE_CHANGE };
enum { KEEPS_OPEN_MS = 1, KEEPS_CLOSE_MS = 2 };

struct fold_voter {
    size_t poll;
    char name[FOLD_WORD_MAX];
    uint64_t options[FOLD_OPTIONS_MAX];
    size_t option_count; /* 0: has no vote now */
};

static int compare_voters(const void *left, const void *right)
{
    const struct fold_voter *a = left, *b = right;
    if (a->poll != b->poll) {
        return a->poll < b->poll ? -1 : 1;
    }
    return strcmp(a->name, b->name);
}

static int compare_keys(const void *left, const void *right)
{
    return strcmp(left, right);
}

/* ---- words of a line ---- */

/* Copies a field without its quotes; empty when it is not there. */
static void word_of(const char *line, const char *key, char word[FOLD_WORD_MAX])
{
    char quoted[FOLD_WORD_MAX];
    word[0] = '\0';
    if (!line_field(line, key, quoted, sizeof(quoted))) {
        return;
    }
    size_t len = strlen(quoted);
    bool is_quoted = len >= 2 && quoted[0] == '"' && quoted[len - 1] == '"';
    snprintf(word, FOLD_WORD_MAX, "%.*s", (int)(is_quoted ? len - 2 : len), quoted + is_quoted);
}

static uint64_t number_or_0(const char *line, const char *key)
{
    uint64_t number = line_field_number(line, key);
    return number == UINT64_MAX ? 0 : number;
}

static bool is_refused(const char *line)
{
    char word[FOLD_WORD_MAX];
    return line_field(line, "refused", word, sizeof(word));
}

/* A request whose key is known: it did nothing, and its reply was the first one. */
static bool is_dup(const char *line)
{
    return line_field_number(line, "dup") == 1;
}

static uint64_t mode_of(const char *line)
{
    char word[FOLD_WORD_MAX];
    word_of(line, "mode", word);
    bool is_free = word[0] == '\0' || strcmp(word, "free") == 0;
    return is_free ? MODE_FREE : strcmp(word, "once") == 0 ? MODE_ONCE : MODE_CHANGE;
}

static void *grown(void *list, size_t *room, size_t wanted, size_t item_bytes)
{
    if (wanted < *room) {
        return list;
    }
    size_t old = *room;
    *room = (wanted + 1) * 2;
    list = realloc(list, *room * item_bytes);
    EXPECT(list != NULL, "no memory");
    memset((char *)list + old * item_bytes, 0, (*room - old) * item_bytes);
    return list;
}

/* ---- polls and options ---- */

/* Returns its number, 0 when there is none. */
static size_t find_poll(const struct fold *fold, const char *name)
{
    for (size_t i = fold->poll_count; i > 0; i--) {
        if (strcmp(fold->polls[i].name, name) == 0) {
            return i;
        }
    }
    return 0;
}

static void take_poll(struct fold *fold, const char *line)
{
    char name[FOLD_WORD_MAX];
    word_of(line, "poll", name);
    uint64_t keep = number_or_0(line, "keep");
    size_t at = find_poll(fold, name);
    bool is_new = at == 0;
    if (is_refused(line)) {
        return;
    }
    if (is_new) {
        at = ++fold->poll_count;
        fold->polls = grown(fold->polls, &fold->poll_room, at, sizeof(*fold->polls));
        snprintf(fold->polls[at].name, FOLD_WORD_MAX, "%s", name);
        fold->polls[at].mode = mode_of(line);
    }
    struct fold_poll *poll = &fold->polls[at];
    if ((keep >> KEEPS_OPEN_MS & 1) == 0) {
        poll->open_ms = number_or_0(line, "open_ms");
    }
    if ((keep >> KEEPS_CLOSE_MS & 1) == 0) {
        poll->close_ms = number_or_0(line, "close_ms");
    }
    if (is_new) {
        uint64_t ms = fold->record.ms;
        poll->is_open = poll->open_ms <= ms && (poll->close_ms == 0 || ms < poll->close_ms);
    }
}

static void take_window(struct fold *fold, const char *line)
{
    uint64_t at = line_field_number(line, "poll");
    EXPECT(at > 0 && at <= fold->poll_count, "'%s' is of no poll", line);
    fold->polls[at].is_open = number_or_0(line, "open") != 0;
    fold->polls[at].mode = mode_of(line);
}

static void take_option(struct fold *fold, const char *line)
{
    char name[FOLD_WORD_MAX];
    uint64_t id = line_field_number(line, "id");
    if (is_refused(line)) {
        return;
    }
    word_of(line, "poll", name);
    size_t poll = find_poll(fold, name);
    EXPECT(id > 0 && id < 1000000 && poll > 0, "'%s'", line);
    fold->options = grown(fold->options, &fold->option_room, (size_t)id, sizeof(*fold->options));
    fold->option_count = (size_t)id > fold->option_count ? (size_t)id : fold->option_count;
    fold->options[id].poll = poll;
}

static struct fold_option *option_of(const struct fold *fold, uint64_t id, const char *line)
{
    EXPECT(id > 0 && id <= fold->option_count && fold->options[id].poll != 0,
           "'%s' is of no option", line);
    return &fold->options[id];
}

static void count(struct fold *fold, uint64_t id, uint64_t more, uint64_t fewer)
{
    struct fold_option *option = &fold->options[id];
    EXPECT(option->votes + more >= fewer, "option %" PRIu64 " has no vote to lose", id);
    option->votes = option->votes + more - fewer;
    fold->polls[option->poll].total = fold->polls[option->poll].total + more - fewer;
}

/* ---- votes ---- */

/* Returns whether the key is new for this verb, and keeps it; no key is always new. */
static bool key_is_new(struct fold *fold, const char *verb)
{
    char *copy = NULL;
    if (fold->record.key[0] == '\0') {
        return true;
    }
    EXPECT(asprintf(&copy, "%s %s", verb, fold->record.key) > 0, "no memory");
    char **found = tsearch(copy, &fold->keys, compare_keys);
    EXPECT(found != NULL, "no memory");
    if (*found != copy) {
        free(copy);
        return false;
    }
    return true;
}

static struct fold_voter *voter_of(struct fold *fold, size_t poll)
{
    struct fold_voter *voter = calloc(1, sizeof(*voter));
    EXPECT(voter != NULL, "no memory");
    voter->poll = poll;
    memcpy(voter->name, fold->record.voter, sizeof(voter->name));
    struct fold_voter **found = tsearch(voter, &fold->voters, compare_voters);
    EXPECT(found != NULL, "no memory");
    if (*found != voter) {
        free(voter);
    }
    return *found;
}

/* What a vote does by itself: no record of a vote is refused. */
static void take_step(struct fold *fold, const char *line, bool is_vote)
{
    struct fold_record *record = &fold->record;
    record->options[0] = line_field_number(line, "option");
    struct fold_option *option = option_of(fold, record->options[0], line);
    const struct fold_poll *poll = &fold->polls[option->poll];
    uint64_t after = line_field_number(line, "votes"), n = line_field_number(line, "n");
    EXPECT(after != UINT64_MAX && n != UINT64_MAX && n > 0 && after - n == option->votes,
           "'%s' does not continue from %" PRIu64, line, option->votes);
    EXPECT(poll->mode == MODE_FREE && (poll->is_open || !is_vote),
           "'%s' is in poll %s, which is %s", line, poll->name,
           poll->is_open ? "not free" : "closed");
    EXPECT(key_is_new(fold, is_vote ? "VOTE" : "SEED"), "'%s' counts a key again", line);
    count(fold, record->options[0], n, 0);
    record->option_count = 1;
    record->votes[0] = after;
    record->poll = option->poll;
    record->has_counted = true;
}

static void lose_votes(struct fold *fold, struct fold_voter *voter)
{
    for (size_t i = 0; i < voter->option_count; i++) {
        count(fold, voter->options[i], 0, 1);
    }
    fold->polls[voter->poll].voters -= voter->option_count > 0;
    fold->record.prev = voter->option_count > 0 ? voter->options[0] : 0;
    voter->option_count = 0;
}

static void read_options(struct fold *fold, const char *line)
{
    struct fold_record *record = &fold->record;
    char more[8192], *rest = more, *word;
    record->options[0] = line_field_number(line, "option");
    record->option_count = 1;
    if (line_field(line, "more", more, sizeof(more))) {
        while ((word = strsep(&rest, "\",")) != NULL) {
            if (word[0] != '\0') {
                EXPECT(record->option_count < FOLD_OPTIONS_MAX, "'%s'", line);
                record->options[record->option_count++] = strtoull(word, NULL, 10);
            }
        }
    }
    record->poll = option_of(fold, record->options[0], line)->poll;
    for (size_t i = 0; i < record->option_count; i++) {
        EXPECT(option_of(fold, record->options[i], line)->poll == record->poll,
               "'%s' is of two polls", line);
    }
}

static bool is_open_now(const struct fold *fold, const struct fold_poll *poll)
{
    return poll->is_open && (poll->close_ms == 0 || fold->record.ms < poll->close_ms);
}

static void take_ballot(struct fold *fold, const char *line)
{
    struct fold_record *record = &fold->record;
    read_options(fold, line);
    struct fold_poll *poll = &fold->polls[record->poll];
    struct fold_voter *voter = voter_of(fold, record->poll);
    bool is_ballot =
        poll->mode != MODE_FREE && record->voter[0] != '\0' && line_field_number(line, "n") == 1;
    bool may_vote = is_ballot && (poll->mode != MODE_ONCE || voter->option_count == 0);
    record->has_counted = is_open_now(fold, poll) && may_vote && key_is_new(fold, "VOTE");
    EXPECT(record->has_counted == (!is_refused(line) && !is_dup(line)), "'%s' should %s", line,
           record->has_counted ? "count" : "do nothing");
    if (!record->has_counted) {
        return;
    }
    lose_votes(fold, voter);
    for (size_t i = 0; i < record->option_count; i++) {
        count(fold, record->options[i], 1, 0);
        voter->options[i] = record->options[i];
        record->votes[i] = fold->options[record->options[i]].votes;
    }
    voter->option_count = record->option_count;
    poll->voters++;
}

static void take_unvote(struct fold *fold, const char *line)
{
    struct fold_record *record = &fold->record;
    char name[FOLD_WORD_MAX];
    word_of(line, "poll", name);
    record->poll = find_poll(fold, name);
    EXPECT(record->poll != 0, "'%s' is of no poll", line);
    struct fold_voter *voter = voter_of(fold, record->poll);
    const struct fold_poll *poll = &fold->polls[record->poll];
    bool is_good = poll->mode != MODE_FREE && is_open_now(fold, poll) && key_is_new(fold, "UNVOTE");
    EXPECT(is_good == (!is_refused(line) && !is_dup(line)), "'%s' should %s", line,
           is_good ? "be done" : "do nothing");
    record->has_counted = is_good && voter->option_count > 0;
    if (record->has_counted) {
        lose_votes(fold, voter);
    }
}

/* ---- a poll begins anew ---- */

static size_t reset_poll;

static void forget_voter(const void *node, VISIT visit, int depth)
{
    struct fold_voter *voter = *(struct fold_voter *const *)node;
    (void)depth;
    if ((visit == preorder || visit == leaf) && voter->poll == reset_poll) {
        voter->option_count = 0;
    }
}

/* Takes all votes of a poll away, and finds its number. */
static void take_reset(struct fold *fold, const char *line)
{
    char name[FOLD_WORD_MAX];
    word_of(line, "poll", name);
    uint64_t number = line_field_number(line, "poll");
    reset_poll = number != UINT64_MAX ? (size_t)number : find_poll(fold, name);
    EXPECT(reset_poll > 0 && reset_poll <= fold->poll_count, "'%s' is of no poll", line);
    for (size_t i = 1; i <= fold->option_count; i++) {
        if (fold->options[i].poll == reset_poll) {
            fold->options[i].votes = 0;
        }
    }
    twalk(fold->voters, forget_voter);
    fold->polls[reset_poll].total = 0;
    fold->polls[reset_poll].voters = 0;
}

static void take_polldel(struct fold *fold, const char *line)
{
    if (is_refused(line)) {
        return;
    }
    take_reset(fold, line);
    fold->polls[reset_poll].name[0] = '\0'; /* the name is free */
    for (size_t i = 1; i <= fold->option_count; i++) {
        if (fold->options[i].poll == reset_poll) {
            fold->options[i].poll = 0;
        }
    }
}

/* ---- the log ---- */

void fold_begin(struct fold *fold, const struct server *server)
{
    memset(fold, 0, sizeof(*fold));
    fold->text = dump_text(server);
    fold->rest = fold->text;
}

void fold_fini(struct fold *fold)
{
    tdestroy(fold->voters, free);
    tdestroy(fold->keys, free);
    free(fold->polls);
    free(fold->options);
    free(fold->text);
    memset(fold, 0, sizeof(*fold));
}

static void take_line(struct fold *fold, const char *line)
{
    struct fold_record *record = &fold->record;
    memset(record, 0, sizeof(*record));
    record->lsn = line_number(line, 0);
    record->ms = line_number(line, 1);
    (void)line_word(line, 2, record->type, sizeof(record->type));
    word_of(line, "voter", record->voter);
    word_of(line, "key", record->key);
    if (strcmp(record->type, "POLL") == 0) {
        take_poll(fold, line);
    } else if (strcmp(record->type, "POLL_WINDOW") == 0) {
        take_window(fold, line);
    } else if (strcmp(record->type, "OPTION") == 0) {
        take_option(fold, line);
    } else if (strcmp(record->type, "VOTE") == 0 || strcmp(record->type, "SEED") == 0) {
        take_step(fold, line, record->type[0] == 'V');
    } else if (strcmp(record->type, "BALLOT") == 0) {
        take_ballot(fold, line);
    } else if (strcmp(record->type, "UNVOTE") == 0) {
        take_unvote(fold, line);
    } else if (strcmp(record->type, "RESET") == 0 && !is_refused(line)) {
        take_reset(fold, line);
    } else if (strcmp(record->type, "POLLDEL") == 0) {
        take_polldel(fold, line);
    }
}

bool fold_next(struct fold *fold)
{
    uint64_t before = fold->record.lsn;
    const char *line;
    while ((line = strsep(&fold->rest, "\n")) != NULL) {
        if (line_number(line, 0) != UINT64_MAX) {
            take_line(fold, line);
            EXPECT(fold->record.lsn == before + 1 || before == 0,
                   "record %" PRIu64 " stands behind %" PRIu64, fold->record.lsn, before);
            return true;
        }
    }
    return false;
}

void fold_to(struct fold *fold, uint64_t lsn)
{
    while (fold->record.lsn < lsn) {
        bool is_there = fold_next(fold);
        EXPECT(is_there, "the log ends at %" PRIu64 ", before %" PRIu64, fold->record.lsn, lsn);
    }
}

void fold_all(struct fold *fold)
{
    while (fold_next(fold)) {
    }
}

uint64_t fold_votes(const struct fold *fold, uint64_t option)
{
    return option > 0 && option <= fold->option_count ? fold->options[option].votes : 0;
}

const struct fold_poll *fold_poll(const struct fold *fold, const char *name)
{
    size_t at = find_poll(fold, name);
    EXPECT(at != 0, "the log has no poll %s", name);
    return &fold->polls[at];
}

void fold_expect_votes(const struct fold *fold, uint64_t option, uint64_t votes)
{
    uint64_t has = fold_votes(fold, option);
    EXPECT(has == votes, "by the log option %" PRIu64 " has %" PRIu64 " votes, not %" PRIu64,
           option, has, votes);
}
