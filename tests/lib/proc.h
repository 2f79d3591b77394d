/* Running a program to its end. */
#ifndef TALLY_TESTS_LIB_PROC_H
#define TALLY_TESTS_LIB_PROC_H

/* Runs `argv` (searched in PATH, ends with NULL). Returns its exit code, 128 + signal, or -1 when
 * it cannot run. Owns: `*output` is what it wrote to standard output, NUL-terminated; the caller
 * frees it. NULL: not wanted. */
int proc_run(const char *const *argv, char **output);

#endif
