/* A growing text that holds a batch of requests. Ends the program when memory is out. */
#ifndef TALLY_BENCH_TEXT_H
#define TALLY_BENCH_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
    char *at;
    size_t len;
    size_t room;
};

/* Makes sure that `more` bytes fit behind the text. */
void text_reserve(struct text *t, size_t more);

void text_add(struct text *t, const char *bytes, size_t len);
void text_add_string(struct text *t, const char *string);
void text_add_number(struct text *t, uint64_t number);

/* Adds one RESP bulk string: its length, its bytes. */
void text_add_bulk(struct text *t, const char *bytes, size_t len);

/* Adds one RESP array of bulk strings. */
void text_add_command(struct text *t, size_t words, const char *const word[]);

/* Frees the bytes and leaves the text empty. */
void text_fini(struct text *t);

#endif
