/* One record's line: its fields as key=value or as a JSON object. */
#include "tools/wal/fields.h"

#include <inttypes.h>
#include <stdio.h>

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
        printf(" %s=%.*s", key, (int)name.len, name.at);
    }
}

void fields_quoted(struct fields *fields, const char *key, struct span text)
{
    if (fields->is_json) {
        object_text(fields->object, key, text);
        return;
    }
    printf(" %s=\"", key);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            printf("\\x%02X", c);
        } else {
            putchar(c);
        }
    }
    putchar('"');
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
