/* Reads the project's files from disk into a tree. */
#include "tests/tidy/tidy.h"
#include "tests/lib/count.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Returns the text of a file, which the caller frees; NULL, with a word on stderr, if it cannot be
 * read. */
static char *read_text(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return NULL;
    }
    char *text = NULL;
    size_t room = 0;
    /* A NUL never comes in a text, so this reads to the end. */
    if (getdelim(&text, &room, '\0', file) < 0) {
        free(text);
        text = ferror(file) ? NULL : strdup("");
    }
    if (text == NULL)
        perror(path);
    fclose(file);
    return text;
}

/* The one hidden file that is read: whether the formatter reflows comments stands in it. */
static const char formatter[] = ".clang-format";

static bool has_end(const char *name, const char *end)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && strcmp(dot, end) == 0;
}

/* What the rules read: by its name, or, without a dot in it, by its first line. */
static bool is_wanted(const char *name, const char *text)
{
    static const char *const ends[] = {".c", ".h", ".cmake", ".md", ".txt", ".sh"};
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        if (has_end(name, ends[i]))
            return true;
    }
    return strcmp(name, formatter) == 0 ||
           (strchr(name, '.') == NULL && strncmp(text, "#!", 2) == 0);
}

static bool add_file(struct tree *tree, const char *full, const char *path, const char *name)
{
    bool may_be_script = strchr(name, '.') == NULL;
    if (!is_wanted(name, "") && !may_be_script)
        return true;
    char *text = read_text(full);
    if (text == NULL)
        return false;
    if (is_wanted(name, text))
        tree_add(tree, path, text);
    free(text);
    return true;
}

static bool is_build_folder(const char *full)
{
    char cache[PATH_MAX + 16];
    snprintf(cache, sizeof(cache), "%s/CMakeCache.txt", full);
    return access(cache, F_OK) == 0;
}

static bool load_folder(struct tree *tree, const char *folder);

static bool load_entry(struct tree *tree, const char *folder, const char *name)
{
    if (name[0] == '.' && strcmp(name, formatter) != 0)
        return true;
    char path[PATH_MAX];
    char full[PATH_MAX];
    int path_len = snprintf(path, sizeof(path), "%s%s%s", folder, *folder ? "/" : "", name);
    int full_len = snprintf(full, sizeof(full), "%s/%s", tree->root, path);
    if (path_len >= PATH_MAX || full_len >= PATH_MAX) {
        fprintf(stderr, "%s: the name is too long\n", name);
        return false;
    }
    struct stat stat;
    if (lstat(full, &stat) != 0) {
        perror(full);
        return false;
    }
    if (S_ISREG(stat.st_mode))
        return add_file(tree, full, path, name);
    bool made = strcmp(path, "build") == 0 || strcmp(path, "data") == 0;
    if (S_ISDIR(stat.st_mode) && !made && !is_build_folder(full))
        return load_folder(tree, path);
    return true;
}

static bool load_folder(struct tree *tree, const char *folder)
{
    char full[PATH_MAX];
    snprintf(full, sizeof(full), "%s/%s", tree->root, folder);
    struct dirent **entries = NULL;
    int count = scandir(full, &entries, NULL, alphasort);
    if (count < 0) {
        perror(full);
        return false;
    }
    bool ok = true;
    for (int i = 0; i < count; i++) {
        ok = load_entry(tree, folder, entries[i]->d_name) && ok;
        free(entries[i]);
    }
    free(entries);
    return ok;
}

bool tree_load(struct tree *tree)
{
    return load_folder(tree, "");
}
