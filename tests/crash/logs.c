/* The logs to be damaged, and the kinds of damage: one list for the suite and for the mutants. */
#include "tests/crash/logs.h"

#include "tests/crash/damage.h"
#include "tests/lib/count.h"
#include "wal/base/check.h"

#include <inttypes.h>

static const struct log {
    const char *script;
    const char *older; /* an older state of it */
    const char *names; /* every bit of these files is flipped, and they are cut off at every byte */
    bool is_clean;
    bool is_packed; /* it has a packed segment */
    bool is_cut;    /* retention has removed its beginning, and there are two snapshots */
    const char *text;
} logs[] = {
    {"aancana", "a", "", true, false, false, "32 KiB, closed cleanly"},
    {"anl", "a", NULL, false, false, false, "killed behind a block that nothing confirms"},
    {"anc", "a", NULL, false, false, false, "killed behind a confirmation"},
    {"arlkanrac", "a", NULL, false, false, false, "four segments, one process killed between"},
    {"alpanxaPl", "a", NULL, true, false, false, "torn and repaired on the way"},
    {"jaaaaaaksnc", "jaaaa", "wal-0000000000000001", false, true, false, "a packed segment"},
    {"rrSsrSsac", "rrSs", "snap-0000000000000006", false, false, true,
     "two snapshots, and no beginning"},
    {"jaanaSskaaaaSskaaSsaaaaaakasnac", "jaanaSskaaaa", NULL, false, true, true,
     "packed segments, two snapshots, and no beginning"},
};

static void add(struct logs_total *total, const struct damage *damage)
{
    total->cases += damage->cases;
    total->right += damage->right;
    total->refused += damage->refused;
    total->shortened += damage->shortened;
    if (damage->failed && !total->failed) {
        total->failed = true;
        snprintf(total->text, sizeof(total->text), "%s", damage->text);
    }
}

/* An older file of the same log cannot be told from the log's: only pages of it are used. */
static void damage_by_others(struct damage *damage, const struct log *log)
{
    struct damage older;
    struct damage foreign;
    damage_init(&older, log->older, 1, false);
    damage_init(&foreign, log->script, 2, log->is_clean);
    damage->failed = damage->failed || older.failed || foreign.failed;
    damage_from(damage, &older.run.disk, false);
    damage_from(damage, &foreign.run.disk, false);
    damage_from(damage, &foreign.run.disk, true);
    damage_fini(&older);
    damage_fini(&foreign);
}

static void damage_one(struct logs_total *total, const struct log *log, bool is_short, FILE *out)
{
    struct damage damage;
    damage_init(&damage, log->script, 1, log->is_clean);
    if (!damage.failed) {
        CHECK(log->is_packed == (damage.run.packed > 0));
        CHECK(log->is_cut == (damage.run.removed > 0) && (!log->is_cut || damage.has_spare));
        damage_pages(&damage);
        damage_files(&damage);
        damage_by_others(&damage, log);
    }
    if (log->names != NULL && !is_short) {
        damage_lengths(&damage, log->names);
        damage_bits(&damage, log->names);
    }
    add(total, &damage);
    if (out != NULL) {
        fprintf(out,
                "log '%s' (%s): %" PRIu64 " cases, %" PRIu64 " right, %" PRIu64 " refused, %" PRIu64
                " without the last block\n",
                log->script, log->text, damage.cases, damage.right, damage.refused,
                damage.shortened);
    }
    damage_fini(&damage);
}

void logs_damage(struct logs_total *total, bool is_short, FILE *out)
{
    *total = (struct logs_total){.failed = false};
    for (size_t i = 0; i < COUNT_OF(logs) && !total->failed; i++) {
        damage_one(total, &logs[i], is_short, out);
    }
}
