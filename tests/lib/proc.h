/* Small helpers around processes, files and time. */
#ifndef TALLY_TESTS_LIB_PROC_H
#define TALLY_TESTS_LIB_PROC_H

#include <stdint.h>

/* Runs `argv` (searched in PATH, ends with NULL). Returns its exit code, 128 + signal, or -1 when
 * it cannot run. Owns: `*output` is what it wrote to standard output, NUL-terminated; the caller
 * frees it. NULL: not wanted. */
int proc_run(const char *const *argv, char **output);

/* Returns the file's bytes with a NUL behind, or NULL. Owns: the caller frees it. */
char *proc_read_file(const char *path);

/* Removes a directory and all in it, without following links or crossing file systems. */
void proc_remove_tree(const char *path);

/* The monotonic clock. */
uint64_t proc_now_ms(void);

/* Returns what is left until `deadline_ms`, 0 when it has passed: an argument for poll(). */
int proc_left_ms(uint64_t deadline_ms);

#endif
