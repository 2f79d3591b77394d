/* A JSON object that is built key by key and printed on one line. Only this file uses jansson. */
#include "tools/tally-wal/object.h"

#include "wal/base/err.h"
#include "wal/base/glyph.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>

struct object {
    json_t *json;
    bool is_broken; /* a value could not be added */
};

struct object *object_new(void)
{
    struct object *object = malloc(sizeof *object);
    if (object == NULL) {
        return NULL;
    }
    *object = (struct object){.json = json_object()};
    object->is_broken = object->json == NULL;
    return object;
}

/* Adds a value. Owns: the value, which may be NULL. */
static void put(struct object *object, const char *key, json_t *value)
{
    if (object == NULL) {
        json_decref(value);
    } else if (json_object_set_new(object->json, key, value) != 0) {
        object->is_broken = true;
    }
}

void object_number(struct object *object, const char *key, uint64_t value)
{
    if (value <= INT64_MAX) {
        put(object, key, json_integer((json_int_t)value));
    } else {
        put(object, key, json_sprintf("%" PRIu64, value));
    }
}

void object_real(struct object *object, const char *key, double value)
{
    put(object, key, json_real(value));
}

/* Owns: the caller frees. */
static char *base64(struct span bytes, size_t *len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc((bytes.len + 2) / 3 * 4 + 1);
    char *to = text;
    for (size_t i = 0; text != NULL && i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t three = 0;
        for (size_t k = 0; k < 3; k++) {
            three = three << 8 | (k < left ? (unsigned char)bytes.at[i + k] : 0);
        }
        for (size_t k = 0; k < 4; k++) {
            *to++ = k <= left ? digits[three >> (18 - 6 * k) & 63] : '=';
        }
    }
    *len = (size_t)(to - text);
    return text;
}

void object_text(struct object *object, const char *key, struct span text)
{
    /* NULL for bytes that are no UTF-8, or without memory: then base64 fails, too */
    json_t *string = json_stringn(text.len > 0 ? text.at : "", text.len);
    if (string != NULL) {
        put(object, key, string);
        return;
    }
    char longer[64];
    size_t len;
    char *digits = base64(text, &len);
    snprintf(longer, sizeof longer, "%s_base64", key);
    put(object, longer, digits != NULL ? json_stringn_nocheck(digits, len) : NULL);
    free(digits);
}

void object_child(struct object *object, const char *key, struct object *child)
{
    bool is_whole = child != NULL && !child->is_broken;
    put(object, key, is_whole ? json_incref(child->json) : NULL);
    if (child != NULL) {
        json_decref(child->json);
        free(child);
    }
}

void object_list(struct object *object, const char *key, const uint64_t *values, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(list, json_integer((json_int_t)values[i])) != 0 &&
            object != NULL) {
            object->is_broken = true;
        }
    }
    put(object, key, list);
}

/* Prints a line with DEL, C1 and direction marks escaped, which jansson leaves as they are. They
 * are in strings only, where \uXXXX may stand for any of them. */
static void print_shown(struct span line, FILE *out)
{
    size_t from = 0;
    for (size_t at = 0; at < line.len;) {
        struct span rest = {line.at + at, line.len - at};
        uint32_t code = 0;
        size_t shown = glyph_shown(rest);
        size_t len = shown > 0 ? shown : glyph_read(rest, &code);
        if (shown == 0) {
            fwrite(line.at + from, 1, at - from, out);
            fprintf(out, "\\u%04" PRIx32, code);
            from = at + len;
        }
        at += len > 0 ? len : 1; /* jansson writes only UTF-8, so len is not 0 */
    }
    fwrite(line.at + from, 1, line.len - from, out);
}

int object_print(struct object *object, FILE *out)
{
    int err = object == NULL || object->is_broken ? TALLY_NOMEM : 0;
    if (err == 0) {
        char *line = json_dumps(object->json, JSON_COMPACT | JSON_REAL_PRECISION(12));
        err = line == NULL ? TALLY_NOMEM : 0;
        if (line != NULL) {
            print_shown(span_of(line), out);
            fputc('\n', out);
        }
        free(line);
    }
    if (object != NULL) {
        json_decref(object->json);
        free(object);
    }
    return err;
}
