/* The repair of a torn tail, without going on with the log. */
#include "wal/recover/repair.h"

#include "wal/base/err.h"
#include "wal/files/snapshot_list.h"
#include "wal/read/report.h"
#include "wal/recover/lock.h"
#include "wal/recover/recover.h"

int wal_repair(struct wal_io *io, wal_visit_fn visit, void *arg, struct wal_report *report)
{
    *report = (struct wal_report){.end = WAL_END_FAILED};
    struct wal_snapshot_info info;
    int err = wal_lock(io, report);
    if (err != 0) {
        return err;
    }
    err = wal_snapshot_list_check_versions(io, &info);
    if (err != 0) {
        return wal_report_refuse(report, err, info.text);
    }
    struct wal_scan scan;
    wal_scan_init(&scan, io, visit, arg);
    wal_scan_set_recovery(&scan, false);
    err = wal_scan_run(&scan);
    wal_report_fill(&scan, report);
    if (err != 0) {
        wal_report_refuse(report, err, tally_err_text(err));
    } else {
        err = wal_report_error(&scan);
    }
    if (err == 0 && report->end == WAL_END_TORN) {
        struct wal_recovery recovery;
        wal_recover_init(&recovery, io, &scan);
        err = wal_recover_tail(&recovery, report);
    }
    wal_scan_fini(&scan);
    return err;
}
