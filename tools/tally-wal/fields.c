/* One record's line: its fields as key=value or as a JSON object. */
#include "tools/tally-wal/fields.h"

#include "engine/base/label.h"
#include "wal/base/glyph.h"

#include <inttypes.h>
#include <stdio.h>

static void print_quoted(struct span text)
{
    char quoted[GLYPH_QUOTED_BYTES_MAX];
    putchar('"');
    while (text.len > 0) {
        fwrite(quoted, 1, glyph_quote(quoted, &text), stdout);
    }
    putchar('"');
}

static void print_name(struct span name)
{
    if (name_is_valid(name)) {
        fwrite(name.at, 1, name.len, stdout);
    } else {
        print_quoted(name);
    }
}

void fields_number(struct fields *fields, const char *key, uint64_t value)
{
    if (fields->is_json) {
        object_number(fields->object, key, value);
    } else {
        printf(" %s=%" PRIu64, key, value);
    }
}

void fields_name(struct fields *fields, const char *key, struct span name)
{
    if (fields->is_json) {
        object_text(fields->object, key, name);
    } else {
        /* apply checks names; a record that a snapshot holds is not applied, so it may have none */
        printf(" %s=", key);
        print_name(name);
    }
}

void fields_quoted(struct fields *fields, const char *key, struct span text)
{
    if (fields->is_json) {
        object_text(fields->object, key, text);
        return;
    }
    printf(" %s=", key);
    print_quoted(text);
}

void fields_bytes(struct fields *fields, const char *key, struct span bytes)
{
    char longer[48];
    snprintf(longer, sizeof longer, "%s_bytes", key);
    fields_number(fields, longer, bytes.len);
    if (fields->is_json) {
        object_text(fields->object, key, bytes);
    }
}
