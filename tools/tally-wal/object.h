/* A JSON object that is built key by key and printed on one line. */
#ifndef TALLY_TOOLS_TALLY_WAL_OBJECT_H
#define TALLY_TOOLS_TALLY_WAL_OBJECT_H

#include "wal/base/span.h"

#include <stdint.h>
#include <stdio.h>

/*
 * Keys come out in the order in which they were put. A failed allocation makes the object, or the
 * one it is put into, come out as an error of object_print and not as half an object. Threads: one.
 */
struct object;

/* May be NULL, which all functions below take. */
struct object *object_new(void);

/* Numbers above 2^63 - 1 come out as a string of digits. */
void object_number(struct object *object, const char *key, uint64_t value);
void object_real(struct object *object, const char *key, double value);

/* Bytes that are UTF-8 come out as a string under their key, others under `key_base64`. */
void object_text(struct object *object, const char *key, struct span text);

/* Takes over child, whatever becomes of it. */
void object_child(struct object *object, const char *key, struct object *child);

/* A list of numbers. */
void object_list(struct object *object, const char *key, const uint64_t *values, size_t count);

/* Prints the object and a line end, and frees it. Errors: NOMEM; what the file has met is in
 * ferror. */
int object_print(struct object *object, FILE *out);

#endif
