/* Directories of a test's own, and whole files. What cannot be done fails the test. */
#ifndef TALLY_TESTS_LIB_FILES_H
#define TALLY_TESTS_LIB_FILES_H

#include <stdbool.h>
#include <stddef.h>

/* Makes an empty directory below TMPDIR, or /tmp, and writes its path. */
void files_temp_dir(char *path, size_t capacity);

/* Removes a directory and all in it, without following links or crossing file systems. Returns
 * whether it is gone. */
bool files_remove_tree(const char *path);

/* Removes all that is in a directory, and keeps it. */
void files_clear(const char *path);

/* Returns the number of entries of a directory. */
size_t files_count(const char *path);

/* Returns the file's bytes with a NUL behind, or NULL when there is none. `len` (NULL: not wanted)
 * is how many. Owns: the caller frees it. */
char *files_read(const char *path, size_t *len);

/* The same of what is left in an open file or a pipe. */
char *files_read_fd(int fd, size_t *len);

/* Makes the file, or replaces what is in it. */
void files_write(const char *path, const void *bytes, size_t len);

#endif
