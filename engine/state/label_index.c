/* The index of the beginnings of words, and the choice of the most similar labels. */
#include "engine/state/label_index.h"

#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/glyph.h"

#include <stdlib.h>

enum {
    BEGINNING_BYTES = 3,
    WORDS_MAX = 8,         /* of a label; further words are not indexed */
    ALIKE_LOOKS_MAX = 512, /* labels; about 0.2 ms when none of them is in the cache */
};

struct label_entry {
    struct option *option;
    struct label_entry *next;
};

struct beginning {
    struct blob *key;
    _Atomic(struct label_entry *) first;
};

static struct span beginning_key(const void *entity)
{
    return blob_span(((const struct beginning *)entity)->key);
}

int label_index_init(struct state *state)
{
    return index_init(&state->beginnings, beginning_key);
}

static struct label_entry *first_of(const struct beginning *beginning)
{
    /* A1: acquire; pairs with A2 */
    return atomic_load_explicit(&beginning->first, memory_order_acquire);
}

static bool is_of_word(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte >= 0x80 || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
}

static struct span beginning_of(struct span word)
{
    size_t len = 0;
    while (len < BEGINNING_BYTES && len < word.len) {
        uint32_t c = 0;
        size_t bytes = glyph_read((struct span){word.at + len, word.len - len}, &c);
        len += bytes > 0 ? bytes : 1;
    }
    DCHECK(len <= word.len);
    return (struct span){word.at, len};
}

/* The different beginnings of a folded label. Returns how many. */
static size_t beginnings_of(struct span fold, struct span beginnings[WORDS_MAX])
{
    size_t count = 0;
    for (size_t at = 0; at < fold.len && count < WORDS_MAX;) {
        size_t begin = at;
        while (at < fold.len && is_of_word(fold.at[at])) {
            at++;
        }
        struct span beginning = beginning_of((struct span){fold.at + begin, at - begin});
        size_t same = 0;
        while (same < count && !span_equal(beginnings[same], beginning)) {
            same++;
        }
        if (beginning.len > 0 && same == count) {
            beginnings[count++] = beginning;
        }
        at = at == begin ? at + 1 : at;
    }
    if (count == 0) {
        beginnings[count++] = beginning_of(fold);
    }
    DCHECK(count > 0 && count <= WORDS_MAX);
    return count;
}

/* An option's key is `poll/fold`. */
static struct span fold_of(const struct option *option)
{
    size_t before = option->poll->name->len + 1;
    DCHECK(option->key->len >= before);
    return (struct span){option->key->at + before, option->key->len - before};
}

/* ---- adding ---- */

static struct beginning *beginning_get(struct state *state, struct blob *key)
{
    DCHECK(key->len > 0);
    struct beginning *beginning = index_get(&state->beginnings, blob_span(key));
    if (beginning != NULL) {
        free(key);
        return beginning;
    }
    beginning = calloc(1, sizeof *beginning);
    if (beginning == NULL) {
        free(key);
        return NULL;
    }
    beginning->key = key;
    ledger_add(&state->ledger, LEDGER_ENTITIES,
               sizeof *beginning + WEIGHT_PLACES + blob_weight(beginning->key));
    return index_put(&state->beginnings, beginning) == 0 ? beginning : NULL;
}

int label_index_add(struct state *state, struct option *option)
{
    struct span beginnings[WORDS_MAX];
    size_t count = beginnings_of(fold_of(option), beginnings);
    for (size_t i = 0; i < count; i++) {
        struct blob *key = key_of_two(blob_span(option->poll->name), beginnings[i]);
        struct beginning *beginning = key != NULL ? beginning_get(state, key) : NULL;
        struct label_entry *entry = malloc(sizeof *entry);
        if (beginning == NULL || entry == NULL) {
            free(entry);
            return TALLY_NOMEM;
        }
        ledger_add(&state->ledger, LEDGER_ENTITIES, sizeof *entry + WEIGHT_ALLOCATION);
        *entry = (struct label_entry){option, first_of(beginning)};
        /* A2: release; pairs with A1 */
        atomic_store_explicit(&beginning->first, entry, memory_order_release);
    }
    return 0;
}

static void beginning_free(void *arg, void *entity)
{
    (void)arg;
    struct beginning *beginning = entity;
    for (struct label_entry *entry = first_of(beginning); entry != NULL;) {
        struct label_entry *next = entry->next;
        free(entry);
        entry = next;
    }
    free(beginning->key);
    free(beginning);
}

void label_index_fini(struct state *state)
{
    index_each(&state->beginnings, beginning_free, NULL);
    index_fini(&state->beginnings);
}

/* ---- finding ---- */

struct label_choice {
    struct span fold;
    const struct option **found; /* best first */
    size_t scores[ALIKE_MAX];
    int count;
    int max;
};

static bool contains(struct span whole, struct span part)
{
    return part.len > 0 && part.len <= whole.len &&
           memmem(whole.at, whole.len, part.at, part.len) != NULL;
}

/* Returns how much two labels share: most for the same label, and more if one contains the other
 * than for a common beginning. */
static size_t score_of(struct span a, struct span b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    size_t alike = 0;
    while (alike < len && a.at[alike] == b.at[alike]) {
        alike++;
    }
    if (alike == len && a.len == b.len) {
        return SIZE_MAX;
    }
    return contains(a, b) || contains(b, a) ? len * 2 + 1 : alike;
}

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
    size_t score = score_of(fold_of(option), choice->fold);
    int at = choice->count;
    if (is_chosen(choice, option)) {
        return;
    }
    while (at > 0 && (choice->scores[at - 1] < score || (choice->scores[at - 1] == score &&
                                                         choice->found[at - 1]->id > option->id))) {
        at--;
    }
    if (at == choice->max) {
        return;
    }
    choice->count += choice->count < choice->max;
    for (int i = choice->count - 1; i > at; i--) {
        choice->found[i] = choice->found[i - 1];
        choice->scores[i] = choice->scores[i - 1];
    }
    DCHECK(at < choice->count && choice->count <= choice->max);
    choice->found[at] = option;
    choice->scores[at] = score;
}

static int look_at(const struct state *state, struct span poll, struct span beginning, size_t looks,
                   struct label_choice *choice)
{
    struct blob *key = key_of_two(poll, beginning);
    if (key == NULL) {
        return TALLY_NOMEM;
    }
    const struct beginning *found = index_get(&state->beginnings, blob_span(key));
    const struct label_entry *entry = found != NULL ? first_of(found) : NULL;
    free(key);
    for (; entry != NULL && looks > 0; entry = entry->next, looks--) {
        choose(choice, entry->option);
    }
    return 0;
}

int label_index_find(const struct state *state, struct span poll, struct span fold,
                     const struct option **found, int max)
{
    struct span beginnings[WORDS_MAX];
    struct label_choice choice = {
        .fold = fold, .found = found, .max = max < ALIKE_MAX ? max : ALIKE_MAX};
    size_t count = beginnings_of(fold, beginnings);
    struct blob *key = key_of_two(poll, fold);
    int err = key != NULL ? 0 : TALLY_NOMEM;
    const struct option *same = err == 0 ? index_get(&state->labels, blob_span(key)) : NULL;
    free(key);
    if (same != NULL) {
        choose(&choice, same);
    }
    for (size_t i = 0; err == 0 && i < count; i++) {
        err = look_at(state, poll, beginnings[i], ALIKE_LOOKS_MAX / count, &choice);
    }
    return err != 0 ? err : choice.count;
}
