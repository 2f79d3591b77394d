/* Checks and comparisons of names, labels and tags; Unicode comes from utf8proc. */
#include "engine/label.h"

#include "wal/base/err.h"

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
        if (name.at[i] == '\0' || strchr(allowed, name.at[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static utf8proc_ssize_t next_character(struct span text, size_t at, utf8proc_int32_t *c)
{
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text.at + at;
    return utf8proc_iterate(bytes, (utf8proc_ssize_t)(text.len - at), c);
}

static bool is_blank(utf8proc_int32_t c)
{
    return c == ' ' || utf8proc_category(c) == UTF8PROC_CATEGORY_ZS;
}

static bool is_allowed(utf8proc_int32_t c)
{
    utf8proc_category_t category = utf8proc_category(c);
    return category != UTF8PROC_CATEGORY_CC && category != UTF8PROC_CATEGORY_CN &&
           category != UTF8PROC_CATEGORY_CS && category != UTF8PROC_CATEGORY_ZL &&
           category != UTF8PROC_CATEGORY_ZP;
}

int label_trim(struct span *label)
{
    size_t begin = 0;
    size_t end = 0; /* behind the last character that is not blank */
    size_t characters = 0;
    size_t kept = 0;
    for (size_t at = 0; at < label->len;) {
        utf8proc_int32_t c = 0;
        utf8proc_ssize_t len = next_character(*label, at, &c);
        if (len <= 0 || !is_allowed(c)) {
            return TALLY_INVAL;
        }
        if (!is_blank(c)) {
            begin = end == 0 ? at : begin;
            characters = end == 0 ? 0 : characters;
            end = at + (size_t)len;
            kept = characters + 1;
        }
        characters++;
        at += (size_t)len;
    }
    if (kept == 0 || kept > LABEL_CHARACTERS_MAX) {
        return TALLY_INVAL;
    }
    *label = (struct span){label->at + begin, end - begin};
    return 0;
}

int label_fold(struct span label, char **folded, size_t *len)
{
    utf8proc_uint8_t *out = NULL;
    utf8proc_ssize_t n =
        utf8proc_map((const utf8proc_uint8_t *)label.at, (utf8proc_ssize_t)label.len, &out,
                     UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD);
    if (n < 0) {
        return n == UTF8PROC_ERROR_NOMEM ? TALLY_NOMEM : TALLY_INVAL;
    }
    *folded = (char *)out;
    *len = (size_t)n;
    return 0;
}

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
    enum { TAGS_MAX = 64 };
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
    qsort(list, count, sizeof list[0], compare_for_sort);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && span_equal(list[i], list[i - 1])) {
            continue;
        }
        if (*len > 0) {
            into[(*len)++] = ',';
        }
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
