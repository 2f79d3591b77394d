/* One record's line: its fields as key=value or as a JSON object. */
#ifndef TALLY_TOOLS_TALLY_WAL_FIELDS_H
#define TALLY_TOOLS_TALLY_WAL_FIELDS_H

#include "tools/tally-wal/object.h"
#include "wal/base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct fields {
    bool is_json;
    struct object *object; /* with is_json; NULL without memory */
};

void fields_number(struct fields *fields, const char *key, uint64_t value);

/* Adds a name of the protocol, which needs no quotes. */
void fields_name(struct fields *fields, const char *key, struct span name);

/* Adds any text: in quotes, with characters escaped that a terminal would obey (wal/base/glyph.h).
 */
void fields_quoted(struct fields *fields, const char *key, struct span text);

/* Adds bytes that may be long: the line has only their length, as key_bytes; JSON has both. */
void fields_bytes(struct fields *fields, const char *key, struct span bytes);

#endif
