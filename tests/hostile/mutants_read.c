/* Mutants, read by each verb of tally-wal in this process: the verb ends with one of its exit
 * codes, prints no bytes that control a terminal, changes no file, and takes no memory for missing
 * data. */
#include "tests/hostile/mutate.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tools/tally-wal/commands.h"
#include "wal/base/glyph.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECONDS = 30, PEAK_MIB = 600, REPLAY_EVERY = 16, PRINTED_BYTES_MAX = 8 << 20 };

static char dir[128];
static char into[160];
static FILE *told; /* for messages of this program; the verbs print to 1 and 2 */

static void take_output(int memory)
{
    told = fdopen(dup(STDERR_FILENO), "w");
    if (told == NULL || memory < 0 || dup2(memory, STDOUT_FILENO) < 0 ||
        dup2(memory, STDERR_FILENO) < 0) {
        perror("dup2");
        exit(1);
    }
    setvbuf(told, NULL, _IONBF, 0);
    expect_print_to(told);
}

static bool is_harmless(struct span text)
{
    while (text.len > 0) {
        size_t shown = text.at[0] == '\n' ? 1 : glyph_shown(text);
        if (shown == 0) {
            return false;
        }
        text = (struct span){text.at + shown, text.len - shown};
    }
    return true;
}

/* Checks the output since the last call, and drops it. */
static void look_at_output(int memory, const char *verb)
{
    fflush(stdout);
    fflush(stderr);
    off_t bytes = lseek(memory, 0, SEEK_END);
    EXPECT(bytes < PRINTED_BYTES_MAX, "%s prints %lld bytes", verb, (long long)bytes);
    if (bytes > 0) {
        char *at = mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, memory, 0);
        EXPECT(at != MAP_FAILED, "mmap");
        EXPECT(is_harmless((struct span){at, (size_t)bytes}), "%s prints what a terminal obeys",
               verb);
        munmap(at, (size_t)bytes);
    }
    EXPECT(ftruncate(memory, 0) == 0 && lseek(memory, 0, SEEK_SET) == 0, "ftruncate");
}

static void run_verb(int memory, const char *verb, int (*command)(const struct settings *settings),
                     bool is_json, bool may_refuse_usage)
{
    struct settings settings = {.dir = dir, .is_json = is_json, .into = into};
    filter_init(&settings.filter);
    settings.until_lsn = may_refuse_usage ? 30 : UINT64_MAX;
    settings.until_ms = UINT64_MAX;
    int code = command(&settings);
    filter_fini(&settings.filter);
    look_at_output(memory, verb);
    EXPECT(code == EXIT_WHOLE || code == EXIT_TORN || code == EXIT_DAMAGE ||
               (may_refuse_usage && code == EXIT_USAGE),
           "%s ends with %d", verb, code);
}

static uint64_t sum_of_files(const char *path)
{
    struct stat stat_of;
    uint64_t sum = 0;
    for (uint64_t number = 1; number <= 3; number++) {
        char name[256];
        snprintf(name, sizeof(name), "%s/wal-%016llx.seg", path, (unsigned long long)number);
        sum = sum * 31 + (stat(name, &stat_of) == 0
                              ? (uint64_t)stat_of.st_mtim.tv_nsec + (uint64_t)stat_of.st_size
                              : 7);
    }
    return sum;
}

static void run(int memory, uint64_t seed_start)
{
    struct seed seed = {seed_start};
    mutant_begin(seed_start, "hostile_mutants_read", SECONDS);
    mutate(&seed, dir);
    uint64_t before = sum_of_files(dir);
    run_verb(memory, "dump", command_dump, false, false);
    run_verb(memory, "dump --json", command_dump, true, false);
    run_verb(memory, "stat", command_stat, false, false);
    run_verb(memory, "stat --json", command_stat, true, false);
    run_verb(memory, "verify", command_verify, false, false);
    run_verb(memory, "verify --json", command_verify, true, false);
    if (seed_start % REPLAY_EVERY == 0) {
        run_verb(memory, "replay", command_replay, false, true);
        if (access(into, F_OK) == 0) {
            files_remove_tree(into);
        }
    }
    EXPECT(sum_of_files(dir) == before, "reading has changed a file");
    run_verb(memory, "repair", command_repair, false, false);
    files_clear(dir);
}

int main(int argc, char **argv)
{
    uint64_t start = check_option(argc, argv, "--seed", 1);
    uint64_t count = check_option(argc, argv, "--count", 100);
    int memory = memfd_create("printed", MFD_CLOEXEC);
    mutant_dir(dir, sizeof(dir));
    snprintf(into, sizeof(into), "%s-into", dir);
    take_output(memory);
    for (uint64_t i = 0; i < count; i++) {
        run(memory, start + i);
    }
    files_remove_tree(dir);
    uint64_t peak = mutant_peak_mib();
    fprintf(told, "%llu mutants read by each verb; at most %llu MiB\n", (unsigned long long)count,
            (unsigned long long)peak);
    EXPECT(peak < PEAK_MIB, "%llu MiB", (unsigned long long)peak);
    mutant_over();
    return 0;
}
