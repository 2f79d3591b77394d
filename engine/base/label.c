/* Names, labels and tags: checks and comparisons; Unicode comes from utf8proc. */
#include "engine/base/label.h"

#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/glyph.h"

#include <stdlib.h>
#include <utf8proc.h>

bool name_is_valid(struct span name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    if (name.len == 0 || name.len > NAME_LEN_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (memchr(allowed, name.at[i], sizeof allowed - 1) == NULL) {
            return false;
        }
    }
    return true;
}

/* ---- labels ---- */

/*
 * The kinds of characters in a label. Invisible characters are left out, except those that change
 * how others look: joiners, selectors and the tags of flags.
 */
enum kind {
    KIND_SEEN,
    KIND_BLANK,
    KIND_JOINER,   /* between two pictures, or between letters of scripts that join */
    KIND_SELECTOR, /* behind a visible character */
    KIND_TAG,      /* behind a black flag: see flags */
    KIND_HIDDEN,
    KIND_REFUSED,
};

enum {
    BLANK_BRAILLE = 0x2800,
    NULL_NOTEHEAD = 0x1D159,
    KHITAN_FILLER = 0x16FE4,
    JOINER_NONE = 0x200C,
    JOINER = 0x200D,
    FLAG_BLACK = 0x1F3F4,
    TAG_FIRST = 0xE0020,
    TAG_END = 0xE007F,
    JOINING_FIRST = 0x0600, /* Arabic to the scripts of South Asia */
    JOINING_END = 0x1D00,
};

/* The flags that are written as a black flag and tags: England, Scotland, Wales. Each tag is its
 * character less U+E0000. */
static const char *const flags[] = {"gbeng\x7f", "gbsct\x7f", "gbwls\x7f"};

static bool is_within(uint32_t c, uint32_t first, uint32_t last)
{
    return c >= first && c <= last;
}

static const utf8proc_property_t *property_of(uint32_t c)
{
    return utf8proc_get_property((utf8proc_int32_t)c);
}

static bool is_picture(uint32_t c)
{
    return property_of(c)->boundclass == UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC;
}

static enum kind kind_of(uint32_t c)
{
    const utf8proc_property_t *property = property_of(c);
    switch (property->category) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return KIND_REFUSED;
    case UTF8PROC_CATEGORY_ZS:
        return KIND_BLANK;
    default:
        break;
    }
    if (c == JOINER || c == JOINER_NONE) {
        return KIND_JOINER;
    }
    if (is_within(c, 0xFE00, 0xFE0F) || is_within(c, 0xE0100, 0xE01EF) ||
        is_within(c, 0x180B, 0x180D) || c == 0x180F) {
        return KIND_SELECTOR;
    }
    if (is_within(c, TAG_FIRST, TAG_END)) {
        return KIND_TAG;
    }
    if (c == BLANK_BRAILLE) {
        return KIND_BLANK;
    }
    bool is_note = is_within(c, 0xFFF9, 0xFFFB);
    bool shows_nothing = is_note || c == NULL_NOTEHEAD || c == KHITAN_FILLER;
    return property->ignorable || shows_nothing ? KIND_HIDDEN : KIND_SEEN;
}

/* A letter or mark of a script in which a joiner changes how its neighbours look. */
static bool is_joining(uint32_t c)
{
    utf8proc_propval_t category = property_of(c)->category;
    return is_within(c, JOINING_FIRST, JOINING_END - 1) && category >= UTF8PROC_CATEGORY_LU &&
           category <= UTF8PROC_CATEGORY_ME;
}

/* Returns the bytes of the tags at the start of rest if a black flag with them is a flag; or 0. */
static size_t flag_bytes(struct span rest)
{
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        const unsigned char *tag = (const unsigned char *)flags[i];
        size_t at = 0;
        size_t len = 1;
        while (*tag != '\0' && len > 0) {
            uint32_t c = 0;
            len = glyph_read((struct span){rest.at + at, rest.len - at}, &c);
            len = c == 0xE0000U + *tag ? len : 0;
            at += len;
            tag++;
        }
        if (len > 0) {
            return at;
        }
    }
    return 0;
}

/* The state of label_clean. */
struct cleaning {
    struct label *label;
    size_t end;        /* behind the last character that is no blank */
    size_t characters; /* blanks at the beginning not counted */
    uint32_t before;   /* the last character that was kept; 0: none */
    bool in_picture;   /* that character is a picture, or belongs to one */
};

/* Appends a character to the label. Returns false when the label is too long. */
static bool keep(struct cleaning *at, struct span bytes, uint32_t c, bool is_blank)
{
    bool is_first = at->label->len == 0;
    if (is_blank && is_first) {
        return true;
    }
    at->characters++;
    at->before = c;
    if (at->characters > LABEL_CHARACTERS_MAX) {
        return is_blank; /* blanks at the end are cut off */
    }
    DCHECK(at->label->len + bytes.len <= LABEL_BYTES_MAX); /* 50 of at most 4 bytes */
    memcpy(at->label->at + at->label->len, bytes.at, bytes.len);
    at->label->len += bytes.len;
    at->end = is_blank ? at->end : at->label->len;
    return true;
}

/* Whether a joiner between the last kept character and the next one changes how they look. */
static bool joins(const struct cleaning *at, struct span rest)
{
    uint32_t next = 0;
    if (glyph_read(rest, &next) == 0) {
        return false;
    }
    return (at->in_picture && is_picture(next)) || (is_joining(at->before) && is_joining(next));
}

/* Appends a character that is kept only because it changes how its neighbours look. */
static bool keep_helper(struct cleaning *at, struct span bytes, uint32_t c, struct span rest)
{
    enum kind kind = kind_of(c);
    bool is_wanted = kind == KIND_SELECTOR ? at->before != 0 && kind_of(at->before) == KIND_SEEN
                                           : kind == KIND_JOINER && joins(at, rest);
    return !is_wanted || keep(at, bytes, c, false);
}

static bool take_seen(struct cleaning *at, struct span bytes, uint32_t c, struct span rest)
{
    /* a skin colour belongs to the picture before it */
    bool extends = property_of(c)->boundclass == UTF8PROC_BOUNDCLASS_EXTEND;
    at->in_picture = is_picture(c) || (at->in_picture && extends);
    size_t tags = c == FLAG_BLACK ? flag_bytes(rest) : 0;
    bool fits = keep(at, bytes, c, false);
    for (size_t i = 0; fits && i < tags; i += 4) {
        fits = keep(at, (struct span){rest.at + i, 4}, TAG_END, false);
    }
    return fits;
}

int label_clean(struct span text, struct label *label)
{
    struct cleaning at = {.label = label};
    bool fits = true;
    label->len = 0;
    while (fits && text.len > 0) {
        uint32_t c = 0;
        size_t len = glyph_read(text, &c);
        enum kind kind = len > 0 ? kind_of(c) : KIND_REFUSED;
        if (kind == KIND_REFUSED) {
            return TALLY_INVAL;
        }
        struct span bytes = {text.at, len};
        text = (struct span){text.at + len, text.len - len};
        if (kind == KIND_SEEN) {
            fits = take_seen(&at, bytes, c, text);
        } else if (kind == KIND_BLANK) {
            at.in_picture = false;
            fits = keep(&at, bytes, c, true);
        } else {
            fits = keep_helper(&at, bytes, c, text);
        }
    }
    DCHECK(at.end <= label->len); /* only blanks are cut off */
    label->len = at.end;
    return fits && label->len > 0 ? 0 : TALLY_INVAL;
}

/* Copies the characters of a label that count when labels are compared. Returns their bytes; at
 * most those of the label. */
static size_t reduce(struct span label, char *into)
{
    size_t out = 0;
    size_t tags = 0;
    bool after_blank = true;
    while (label.len > 0) {
        uint32_t c = 0;
        size_t len = glyph_read(label, &c);
        len = len > 0 ? len : 1; /* no UTF-8: utf8proc_map refuses it */
        enum kind kind = kind_of(c);
        struct span rest = {label.at + len, label.len - len};
        bool counts = kind == KIND_SEEN || kind == KIND_REFUSED || tags > 0;
        if (kind == KIND_BLANK && !after_blank) {
            into[out++] = ' ';
        } else if (counts) {
            memcpy(into + out, label.at, len);
            out += len;
        }
        after_blank = kind == KIND_BLANK || (after_blank && !counts);
        tags = tags > len ? tags - len : 0;
        tags = c == FLAG_BLACK ? flag_bytes(rest) : tags;
        label = rest;
    }
    return out;
}

/* One pass of utf8proc over a text; *to is the caller's: free(). Errors: INVAL, NOMEM. */
static int map(struct span text, utf8proc_option_t how, char **to, size_t *len)
{
    utf8proc_uint8_t *out = NULL;
    utf8proc_ssize_t n =
        utf8proc_map((const utf8proc_uint8_t *)text.at, (utf8proc_ssize_t)text.len, &out, how);
    if (n < 0) {
        return n == UTF8PROC_ERROR_NOMEM ? TALLY_NOMEM : TALLY_INVAL;
    }
    *to = (char *)out;
    *len = (size_t)n;
    return 0;
}

bool label_is_of_word(uint32_t c)
{
    if (c < 0x80) {
        return is_within(c, 'a', 'z') || is_within(c, 'A', 'Z') || is_within(c, '0', '9');
    }
    utf8proc_propval_t category = property_of(c)->category;
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO;
}

static bool is_ascii(struct span text)
{
    size_t i = 0;
    while (i < text.len && (unsigned char)text.at[i] < 0x80) {
        i++;
    }
    return i == text.len;
}

/* The Greek iota below (U+0345) folds to a letter, and a mark behind it would then belong to that
 * letter. So marks are put into canonical order first (Unicode, D147); the label looks the same. */
int label_fold(struct span label, char **folded, size_t *len)
{
    char counts[LABEL_BYTES_MAX];
    char *ordered = NULL;
    if (label.len > sizeof counts) {
        return TALLY_INVAL;
    }
    struct span text = {counts, reduce(label, counts)};
    if (!is_ascii(text)) {
        int err = map(text, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &ordered, &text.len);
        if (err != 0) {
            return err;
        }
        text.at = ordered;
    }
    int err = map(text, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD,
                  folded, len);
    free(ordered);
    return err;
}

/* ---- tags ---- */

static struct span next_tag(struct span tags, size_t *at)
{
    size_t begin = *at;
    while (*at < tags.len && tags.at[*at] != ',') {
        (*at)++;
    }
    struct span tag = {tags.at + begin, *at - begin};
    (*at)++;
    return tag;
}

static int compare_tags(struct span a, struct span b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = memcmp(a.at, b.at, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_for_sort(const void *a, const void *b)
{
    return compare_tags(*(const struct span *)a, *(const struct span *)b);
}

int tags_sort(struct span tags, char *into, size_t *len)
{
    struct span list[TAGS_MAX];
    size_t count = 0;
    *len = 0;
    if (tags.len > TAGS_BYTES_MAX - 1) {
        return TALLY_FULL;
    }
    for (size_t at = 0; tags.len > 0 && at <= tags.len;) {
        struct span tag = next_tag(tags, &at);
        if (!name_is_valid(tag)) {
            return TALLY_INVAL;
        }
        if (count == TAGS_MAX) {
            return TALLY_FULL;
        }
        list[count++] = tag;
    }
    DCHECK(count <= TAGS_MAX);
    qsort(list, count, sizeof list[0], compare_for_sort);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && span_equal(list[i], list[i - 1])) {
            continue;
        }
        if (*len > 0) {
            into[(*len)++] = ',';
        }
        DCHECK(*len + list[i].len < TAGS_BYTES_MAX);
        memcpy(into + *len, list[i].at, list[i].len);
        *len += list[i].len;
    }
    return 0;
}

bool tags_cover(struct span have, struct span need)
{
    size_t at_have = 0;
    for (size_t at_need = 0; need.len > 0 && at_need <= need.len;) {
        struct span wanted = next_tag(need, &at_need);
        int order = -1;
        while (order < 0 && have.len > 0 && at_have <= have.len) {
            order = compare_tags(next_tag(have, &at_have), wanted);
        }
        if (order != 0) {
            return false;
        }
    }
    return true;
}
