/* Label match: words, and the distance between a text and the beginning of a label. */
#include "engine/base/label_match.h"

#include "engine/base/label.h"
#include "wal/base/check.h"
#include "wal/base/glyph.h"

enum { ALIKE_BYTES = 3, CONTAINED_BYTES = 3, CHARS_ONE_ERROR = 3, CHARS_TWO_ERRORS = 6 };

/* Reads a character as 1 to 4 bytes; a byte that begins none is one. */
static size_t read_char(struct span rest, uint32_t *c)
{
    size_t len = glyph_read(rest, c);
    if (len == 0) {
        *c = (unsigned char)rest.at[0];
        len = 1;
    }
    return len;
}

size_t label_match_words(struct span fold, struct span words[LABEL_MATCH_WORDS_MAX])
{
    size_t count = 0;
    bool in_word = false;
    for (size_t at = 0; at < fold.len;) {
        uint32_t c = 0;
        size_t len = read_char((struct span){fold.at + at, fold.len - at}, &c);
        bool is_of_word = label_is_of_word(c);
        if (in_word && is_of_word) {
            words[count - 1].len += len;
        } else if (c != ' ') {
            if (count == LABEL_MATCH_WORDS_MAX) {
                break;
            }
            words[count++] = (struct span){fold.at + at, len};
        }
        in_word = is_of_word;
        at += len;
    }
    DCHECK(count <= LABEL_MATCH_WORDS_MAX);
    return count;
}

/* Returns the slot of a character, or the empty one where it would be. There are more slots than a
 * text has characters, so some are empty. */
static struct label_match_place *place_of(const struct label_match *match, uint32_t c)
{
    uint32_t slot = c * 0x9E3779B1U >> 26;
    const struct label_match_place *place = &match->places[slot];
    while (place->at != 0 && place->c != c) {
        slot = (slot + 1) % LABEL_MATCH_PLACES;
        place = &match->places[slot];
    }
    return (struct label_match_place *)place;
}

static struct span first_bytes(struct span fold)
{
    return (struct span){fold.at, fold.len < LABEL_BYTES_MAX ? fold.len : LABEL_BYTES_MAX};
}

void label_match_init(struct label_match *match, struct span whole)
{
    struct span text = first_bytes(whole);
    *match = (struct label_match){.whole = whole, .text = text};
    match->word_count = label_match_words(text, match->words);
    for (size_t at = 0; at < text.len; match->char_count++) {
        uint32_t c = 0;
        at += read_char((struct span){text.at + at, text.len - at}, &c);
        if (match->char_count == LABEL_MATCH_CLOSE_MAX) {
            return; /* it is long: no errors */
        }
        struct label_match_place *place = place_of(match, c);
        place->c = c;
        place->at |= (uint32_t)1 << match->char_count;
    }
    match->errors_max = match->char_count < CHARS_ONE_ERROR    ? 0
                        : match->char_count < CHARS_TWO_ERRORS ? 1
                                                               : LABEL_MATCH_ERRORS_MAX;
}

static bool begins_with(struct span whole, struct span part)
{
    return part.len <= whole.len && memcmp(whole.at, part.at, part.len) == 0;
}

/* The text from the beginning of a word on. */
static struct span from_word(struct span text, struct span word)
{
    return (struct span){word.at, (size_t)(text.at + text.len - word.at)};
}

/* Whether each word of the text begins a word of the label. */
static bool has_words(const struct label_match *match, const struct span *words, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < match->word_count; i++) {
        size_t k = 0;
        while (k < count && !begins_with(words[k], match->words[i])) {
            k++;
        }
        found += k < count;
    }
    return found == match->word_count && found > 0;
}

/* Whether a label is some whole words of the text. */
static bool is_within(const struct label_match *match, struct span label)
{
    for (size_t i = 0; i < match->word_count; i++) {
        struct span rest = from_word(match->text, match->words[i]);
        if (!begins_with(rest, label)) {
            continue;
        }
        uint32_t c = 0;
        struct span behind = {rest.at + label.len, rest.len - label.len};
        if (behind.len == 0 || read_char(behind, &c) == 0 || !label_is_of_word(c)) {
            return true;
        }
    }
    return false;
}

static bool contains(struct span whole, struct span part)
{
    return part.len >= CONTAINED_BYTES && part.len <= whole.len &&
           memmem(whole.at, whole.len, part.at, part.len) != NULL;
}

/* Returns the whole characters that two texts have in common at their beginnings, in bytes. */
static size_t alike_bytes(struct span a, struct span b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    size_t alike = 0;
    while (alike < len && a.at[alike] == b.at[alike]) {
        alike++;
    }
    while (alike > 0 && alike < len && ((unsigned char)a.at[alike] & 0xC0) == 0x80) {
        alike--;
    }
    return alike;
}

/* Returns the most that any two words, with what follows them, have in common. */
static size_t alike_words(const struct label_match *match, struct span label,
                          const struct span *words, size_t count)
{
    size_t most = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < match->word_count; k++) {
            size_t alike =
                alike_bytes(from_word(label, words[i]), from_word(match->text, match->words[k]));
            most = alike > most ? alike : most;
        }
    }
    return most;
}

/*
 * Returns the least errors that turn the text into some beginning of the label. The usual table has
 * the text down and the label across; a cell is the errors between their beginnings, so cells next
 * to each other differ by one at most. Here a column is a word of bits (Hyyro 2003): `down` and
 * `down_less` tell where the errors grow or fall from a cell to the one below, `across` and
 * `across_less` from the column before to this one; `same` where they stay on the diagonal.
 */
static int errors_to(const struct label_match *match, struct span label)
{
    const uint32_t last = (uint32_t)1 << (match->char_count - 1);
    uint32_t down = UINT32_MAX;
    uint32_t down_less = 0;
    uint32_t same = 0;
    uint32_t places_before = 0;
    int errors = match->char_count;
    int best = errors;
    size_t at = 0;
    for (int i = 0; i < match->char_count + match->errors_max && at < label.len; i++) {
        uint32_t c = 0;
        at += read_char((struct span){label.at + at, label.len - at}, &c);
        uint32_t places = place_of(match, c)->at;
        uint32_t exchanged = (~same & places) << 1 & places_before;
        same = (((places & down) + down) ^ down) | places | down_less | exchanged;
        uint32_t across = down_less | ~(same | down);
        uint32_t across_less = same & down;
        errors += (across & last) != 0;
        errors -= (across_less & last) != 0;
        across = across << 1 | 1;
        across_less <<= 1;
        down = across_less | ~(same | across);
        down_less = across & same;
        places_before = places;
        best = errors < best ? errors : best;
    }
    return best;
}

/* Returns the least errors at any word of the label. */
static int close_errors(const struct label_match *match, struct span label,
                        const struct span *words, size_t count)
{
    int best = LABEL_MATCH_ERRORS_MAX + 1;
    for (size_t i = 0; i < count && match->errors_max > 0; i++) {
        int errors = errors_to(match, from_word(label, words[i]));
        best = errors < best ? errors : best;
    }
    return best <= match->errors_max ? best : LABEL_MATCH_ERRORS_MAX + 1;
}

static uint64_t make_score(enum label_match_way way, size_t better, struct span label)
{
    return (uint64_t)way << 32 | (uint64_t)(better & 0xFFFF) << 16 |
           (0xFFFF - (label.len & 0xFFFF));
}

/* The ways without errors, but for the same label. */
static enum label_match_way way_of(const struct label_match *match, struct span label,
                                   const struct span *words, size_t count)
{
    if (begins_with(label, match->text)) {
        return LABEL_MATCH_BEGINNING;
    }
    for (size_t i = 0; i < count; i++) {
        if (begins_with(from_word(label, words[i]), match->text)) {
            return LABEL_MATCH_WORD;
        }
    }
    if (has_words(match, words, count)) {
        return LABEL_MATCH_WORDS;
    }
    return contains(label, match->text) || is_within(match, label) ? LABEL_MATCH_CONTAINS
                                                                   : LABEL_MATCH_NONE;
}

uint64_t label_match_score(const struct label_match *match, struct span whole,
                           enum label_match_way least)
{
    struct span words[LABEL_MATCH_WORDS_MAX];
    struct span label = first_bytes(whole);
    if (span_equal(whole, match->whole)) {
        return make_score(LABEL_MATCH_SAME, 0, label);
    }
    size_t count = label_match_words(label, words);
    enum label_match_way way = way_of(match, label, words, count);
    if (way != LABEL_MATCH_NONE) {
        return way >= least ? make_score(way, 0, label) : 0;
    }
    if (least > LABEL_MATCH_CLOSE) {
        return 0;
    }
    int errors = close_errors(match, label, words, count);
    if (errors <= LABEL_MATCH_ERRORS_MAX) {
        return make_score(LABEL_MATCH_CLOSE, (size_t)(LABEL_MATCH_ERRORS_MAX - errors), label);
    }
    size_t alike = least <= LABEL_MATCH_ALIKE ? alike_words(match, label, words, count) : 0;
    return alike >= ALIKE_BYTES ? make_score(LABEL_MATCH_ALIKE, alike, label) : 0;
}
