/* The lock on the directory of a log: one process at a time writes there. */
#include "wal/recover/lock.h"

#include "wal/base/err.h"
#include "wal/read/report.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

int wal_lock(struct wal_io *io, struct wal_report *report)
{
    int err = io->ops->lock(io, "LOCK");
    if (err == -EWOULDBLOCK) {
        return wal_report_refuse(report, TALLY_LOCKED, tally_err_text(TALLY_LOCKED));
    }
    if (err != 0) {
        /* the directory is open, so ENOENT means that no file can be made in it (/proc) */
        bool has_no_place = err == -ENOENT;
        snprintf(report->text, sizeof(report->text), "LOCK: %s",
                 has_no_place ? "no file can be made there" : tally_err_reason(err));
        return has_no_place ? TALLY_DENIED : tally_err_of(err);
    }
    return 0;
}
