/* A JSON object that is built key by key and printed on one line. */
#ifndef TALLY_TOOLS_TALLY_WAL_OBJECT_H
#define TALLY_TOOLS_TALLY_WAL_OBJECT_H

#include "wal/base/span.h"

#include <stdint.h>
#include <stdio.h>

/*
 * Keys are printed in the order in which they were added. After a failed allocation object_print of
 * the object, or of the one that it is added to, returns an error and prints no half object.
 * Threads: one.
 */
struct object;

/* Returns NULL without memory, which all functions below accept. */
struct object *object_new(void);

/* Adds a number; above 2^63 - 1 it is printed as a string of digits. */
void object_number(struct object *object, const char *key, uint64_t value);
void object_real(struct object *object, const char *key, double value);

/* Adds bytes: as a string under their key if they are UTF-8, else under `key_base64`. */
void object_text(struct object *object, const char *key, struct span text);

/* Adds an object. Owns: child, also when it cannot be added. */
void object_child(struct object *object, const char *key, struct object *child);

/* Adds a list of numbers. */
void object_list(struct object *object, const char *key, const uint64_t *values, size_t count);

/* Prints the object and a line end, and frees the object. Errors: NOMEM; an error of the file is in
 * ferror. */
int object_print(struct object *object, FILE *out);

#endif
