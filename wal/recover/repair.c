/* The repair of a torn tail, without going on with the log. */
#include "wal/recover/repair.h"

#include "wal/base/err.h"
#include "wal/files/snapshot_list.h"
#include "wal/read/report.h"
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
        return wal_refuse(report, err, info.text);
    }
    struct wal_scan scan;
    wal_scan_init(&scan, io, visit, arg);
    scan.is_recovery = true;
    err = wal_scan_run(&scan);
    wal_report_fill(&scan, report);
    if (err != 0) {
        wal_refuse(report, err, tally_err_text(err));
    } else {
        err = wal_report_error(&scan);
    }
    if (err == 0 && report->end == WAL_END_TORN) {
        err = wal_recover_tail(&scan, report);
    }
    wal_scan_fini(&scan);
    return err;
}
