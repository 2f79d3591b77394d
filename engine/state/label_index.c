/* The index of the beginnings of words, and the choice of the labels that fit best. */
#include "engine/state/label_index.h"

#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/glyph.h"
#include "wal/base/mutant.h"

#include <stdlib.h>

enum {
    BEGINNING_BYTES_MAX = 48, /* a list of such a beginning is not split */
    FULL = 256,               /* entries of a list that is split next */
    ALL_MAX = 512,            /* options of a poll that are all looked at */
    LOOKS_MAX = 640,          /* labels that are looked at in a larger poll */
};

struct label_entry {
    struct option *option;
    _Atomic(struct label_entry *) next;
    uint32_t word; /* where the word begins in the folded label */
};

struct beginning {
    struct blob *key;       /* the poll's id and the beginning */
    struct beginning *next; /* of the poll: apply alone */
    _Atomic(struct label_entry *) first;
    _Atomic bool is_split;
    uint32_t count;                     /* this and the next: apply alone */
    _Atomic(struct label_entry *) *end; /* where the next entry is linked */
};

/* A poll and a beginning as one key. */
struct beginning_key {
    char at[sizeof(uint64_t) + BEGINNING_BYTES_MAX];
};

static struct span beginning_span(const void *entity)
{
    return blob_span(((const struct beginning *)entity)->key);
}

int label_index_init(struct state *state)
{
    return index_init(&state->beginnings, beginning_span);
}

/* Returns the entry that is linked here, or NULL at the end of a list. */
static struct label_entry *linked(const _Atomic(struct label_entry *) *link)
{
    /* A1: acquire; pairs with A2 */
    return atomic_load_explicit(link, memory_order_acquire);
}

static bool is_split(const struct beginning *beginning)
{
    /* A3: acquire; pairs with A4 */
    return atomic_load_explicit(&beginning->is_split, memory_order_acquire);
}

static void key_begin(struct beginning_key *key, const struct poll *poll)
{
    memcpy(key->at, &poll->id, sizeof poll->id);
}

/* Completes the key of the first `len` bytes of a text. */
static struct span key_of(struct beginning_key *key, struct span text, size_t len)
{
    DCHECK(len <= text.len && len <= BEGINNING_BYTES_MAX);
    memcpy(key->at + sizeof(uint64_t), text.at, len);
    return (struct span){key->at, sizeof(uint64_t) + len};
}

/* Returns the length of the next longer beginning of a text; 0 when there is none. */
static size_t longer(struct span text, size_t len)
{
    uint32_t c = 0;
    if (len == text.len) {
        return 0;
    }
    size_t bytes = glyph_read((struct span){text.at + len, text.len - len}, &c);
    len += bytes > 0 ? bytes : 1;
    return len <= BEGINNING_BYTES_MAX ? len : 0;
}

/* The label from the word of an entry on. */
static struct span text_of(const struct label_entry *entry)
{
    struct span fold = option_fold(entry->option);
    DCHECK(entry->word < fold.len);
    return (struct span){fold.at + entry->word, fold.len - entry->word};
}

/* ---- adding ---- */

static uint64_t beginning_weight(const struct beginning *beginning)
{
    return sizeof *beginning + WEIGHT_PLACES + blob_weight(beginning->key);
}

static struct beginning *beginning_get(struct state *state, struct poll *poll, struct span key)
{
    struct beginning *beginning = index_get(&state->beginnings, key);
    if (beginning != NULL) {
        return beginning;
    }
    beginning = calloc(1, sizeof *beginning);
    if (beginning == NULL || (beginning->key = blob_new(key)) == NULL) {
        free(beginning);
        return NULL;
    }
    beginning->end = &beginning->first;
    ledger_add(&state->ledger, LEDGER_ENTITIES, beginning_weight(beginning));
    if (index_put(&state->beginnings, beginning) != 0) {
        return NULL;
    }
    beginning->next = poll->beginnings;
    poll->beginnings = beginning;
    return beginning;
}

static int entry_add(struct state *state, struct beginning *beginning, struct option *option,
                     uint32_t word)
{
    struct label_entry *entry = malloc(sizeof *entry);
    if (entry == NULL) {
        return TALLY_NOMEM;
    }
    ledger_add(&state->ledger, LEDGER_ENTITIES, sizeof *entry + WEIGHT_ALLOCATION);
    *entry = (struct label_entry){.option = option, .word = word};
    /* A2: release; pairs with A1 */
    atomic_store_explicit(beginning->end, entry, memory_order_release);
    beginning->end = &entry->next;
    beginning->count++;
    return 0;
}

static void mark_split(struct beginning *beginning)
{
    /* A4: release; pairs with A3 */
    atomic_store_explicit(&beginning->is_split, true, memory_order_release);
}

/* Puts the entries of a beginning of `len` bytes into the lists of the longer beginnings. */
static int split(struct state *state, struct beginning_key *key, struct beginning *beginning,
                 size_t len)
{
    unsigned copied = 0;
    if (MUTANT(MUTANT_SPLIT_EARLY)) {
        mark_split(beginning);
    }
    for (const struct label_entry *entry = linked(&beginning->first); entry != NULL;
         entry = linked(&entry->next)) {
        struct span text = text_of(entry);
        size_t more = longer(text, len);
        if (more == 0) {
            continue; /* the label ends here */
        }
        struct beginning *to = beginning_get(state, entry->option->poll, key_of(key, text, more));
        if (to == NULL || entry_add(state, to, entry->option, entry->word) != 0) {
            return TALLY_NOMEM;
        }
        mutant_pause(MUTANT(MUTANT_SPLIT_EARLY) && ++copied == FULL / 2);
    }
    mark_split(beginning);
    return 0;
}

/* Adds the entry of one word: to the list of its shortest beginning that is not split. */
static int add_word(struct state *state, struct option *option, struct span word, bool *may_split)
{
    struct span fold = option_fold(option);
    struct span text = {word.at, (size_t)(fold.at + fold.len - word.at)};
    struct beginning_key key;
    key_begin(&key, option->poll);
    size_t more = 0;
    for (size_t len = longer(text, 0);; len = more) {
        struct beginning *beginning = beginning_get(state, option->poll, key_of(&key, text, len));
        if (beginning == NULL) {
            return TALLY_NOMEM;
        }
        more = longer(text, len);
        if (more != 0 && !is_split(beginning) && beginning->count >= FULL && *may_split) {
            *may_split = false;
            if (split(state, &key, beginning, len) != 0) {
                return TALLY_NOMEM;
            }
        }
        if (more == 0 || !is_split(beginning)) {
            return entry_add(state, beginning, option, (uint32_t)(word.at - fold.at));
        }
    }
}

int label_index_add(struct state *state, struct option *option)
{
    struct span words[LABEL_MATCH_WORDS_MAX];
    size_t count = label_match_words(option_fold(option), words);
    bool may_split = true;
    int err = 0;
    for (size_t i = 0; err == 0 && i < count; i++) {
        err = add_word(state, option, words[i], &may_split);
    }
    return err;
}

static void beginning_free(void *entity)
{
    struct beginning *beginning = entity;
    for (struct label_entry *entry = linked(&beginning->first); entry != NULL;) {
        struct label_entry *next = linked(&entry->next);
        free(entry);
        entry = next;
    }
    free(beginning->key);
    free(beginning);
}

/* ---- a poll that is deleted ---- */

bool label_index_drop(struct state *state, struct poll *poll, uint64_t beginnings_max)
{
    for (uint64_t i = 0; i < beginnings_max && poll->beginnings != NULL; i++) {
        struct beginning *beginning = poll->beginnings;
        poll->beginnings = beginning->next;
        ledger_sub(&state->ledger, LEDGER_ENTITIES,
                   beginning_weight(beginning) +
                       beginning->count * (sizeof(struct label_entry) + WEIGHT_ALLOCATION));
        index_remove(&state->beginnings, beginning);
        state_retire(state, beginning, beginning_free);
    }
    return poll->beginnings == NULL;
}

static void free_one(void *arg, void *entity)
{
    (void)arg;
    beginning_free(entity);
}

void label_index_fini(struct state *state)
{
    index_each(&state->beginnings, free_one, NULL);
    index_fini(&state->beginnings);
}

/* ---- finding ---- */

struct label_choice {
    struct label_match match;
    enum label_match_way least;
    const struct option **found; /* best first */
    uint64_t scores[ALIKE_MAX];
    int count;
};

static bool is_chosen(const struct label_choice *choice, const struct option *option)
{
    int i = 0;
    while (i < choice->count && choice->found[i] != option) {
        i++;
    }
    return i < choice->count;
}

/* Puts an option among the found ones by its score; of equal scores the older option is before. */
static void choose(struct label_choice *choice, const struct option *option)
{
    uint64_t score = label_match_score(&choice->match, option_fold(option), choice->least);
    int at = choice->count;
    if (score == 0 || is_chosen(choice, option)) {
        return;
    }
    while (at > 0 && (choice->scores[at - 1] < score || (choice->scores[at - 1] == score &&
                                                         choice->found[at - 1]->id > option->id))) {
        at--;
    }
    if (at == ALIKE_MAX) {
        return;
    }
    choice->count += choice->count < ALIKE_MAX;
    for (int i = choice->count - 1; i > at; i--) {
        choice->found[i] = choice->found[i - 1];
        choice->scores[i] = choice->scores[i - 1];
    }
    DCHECK(at < choice->count && choice->count <= ALIKE_MAX);
    choice->found[at] = option;
    choice->scores[at] = score;
    enum label_match_way worst = label_match_way_of(choice->scores[choice->count - 1]);
    if (choice->count == ALIKE_MAX && worst > choice->least) {
        choice->least = worst; /* none that fits in a worse way could be among them */
    }
    if (choice->least == LABEL_MATCH_CLOSE && label_match_way_of(score) > LABEL_MATCH_CLOSE) {
        choice->least = LABEL_MATCH_CLOSE + 1; /* the text has no typing error */
    }
}

/* Drops those that were found before a better one has set the least way. */
static int chosen_count(const struct label_choice *choice)
{
    int count = choice->count;
    while (count > 0 && label_match_way_of(choice->scores[count - 1]) < choice->least) {
        count--;
    }
    return count;
}

/* Looks at the labels with a word that begins with the text; if there are none, at those that begin
 * with as much of it as any label does, among which are those with a typing error behind that. */
static void look_at(const struct state *state, const struct poll *poll, struct span text,
                    size_t looks, struct label_choice *choice)
{
    struct beginning_key key;
    const struct beginning *deepest = NULL;
    key_begin(&key, poll);
    for (size_t len = longer(text, 0); len != 0; len = longer(text, len)) {
        const struct beginning *beginning = index_get(&state->beginnings, key_of(&key, text, len));
        if (beginning == NULL) {
            break;
        }
        deepest = beginning;
        if (!is_split(beginning)) {
            break;
        }
    }
    const struct label_entry *entry = deepest != NULL ? linked(&deepest->first) : NULL;
    for (; entry != NULL && looks > 0; entry = linked(&entry->next), looks--) {
        choose(choice, entry->option);
    }
}

/* Looks at all options, from the oldest on. */
static void look_at_all(const struct poll *poll, uint64_t count, struct label_choice *choice)
{
    for (uint64_t place = 0; place < count; place++) {
        choose(choice, poll_option(poll, place));
    }
}

/* The words of the text that are not all of it, each once. Returns how many. */
static size_t single_words(const struct label_match *match,
                           struct span words[LABEL_MATCH_WORDS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < match->word_count; i++) {
        size_t same = 0;
        while (same < count && !span_equal(words[same], match->words[i])) {
            same++;
        }
        if (same == count && match->words[i].len < match->text.len) {
            words[count++] = match->words[i];
        }
    }
    return count;
}

/* Looks at the same label, and at the labels that begin with the text and with each of its words.
 */
static int look_at_some(const struct state *state, const struct poll *poll,
                        struct label_choice *choice)
{
    struct span words[LABEL_MATCH_WORDS_MAX];
    size_t count = single_words(&choice->match, words);
    struct blob *key = option_key_new(poll, choice->match.text);
    if (key == NULL) {
        return TALLY_NOMEM;
    }
    const struct option *same = index_get(&state->labels, blob_span(key));
    free(key);
    if (same != NULL) {
        choose(choice, same);
    }
    look_at(state, poll, choice->match.text, count > 0 ? LOOKS_MAX / 2 : LOOKS_MAX, choice);
    for (size_t i = 0; i < count; i++) {
        look_at(state, poll, words[i], LOOKS_MAX / 2 / count, choice);
    }
    return 0;
}

int label_index_find(const struct state *state, const struct poll *poll, struct span fold,
                     enum label_match_way least, const struct option *found[ALIKE_MAX])
{
    struct label_choice choice = {.least = least, .found = found};
    uint64_t count = FIELD_GET(poll->option_count);
    int err = 0;
    label_match_init(&choice.match, fold);
    if (count <= ALL_MAX) {
        look_at_all(poll, count, &choice);
    } else {
        err = look_at_some(state, poll, &choice);
    }
    return err != 0 ? err : chosen_count(&choice);
}
