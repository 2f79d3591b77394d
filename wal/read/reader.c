/* Reading a log beside its writer: once, or again and again from where the last call stopped. */
#include "wal/read/reader.h"

#include "wal/base/err.h"
#include "wal/read/scan.h"
#include "wal/read/report.h"

#include <stdio.h>
#include <stdlib.h>

struct wal_reader {
    struct wal_scan scan;
};

static int read_on(struct wal_scan *scan, struct wal_report *report)
{
    int err = wal_scan_run(scan);
    wal_report_fill(scan, report);
    if (err == 0) {
        return wal_report_error(scan);
    }
    report->end = WAL_END_FAILED;
    snprintf(report->text, sizeof(report->text), "%s", tally_err_text(err));
    return err;
}

int wal_reader_once(struct wal_io *io, wal_visit_fn visit, void *arg, struct wal_report *report)
{
    struct wal_scan scan;
    wal_scan_init(&scan, io, visit, arg);
    int err = read_on(&scan, report);
    wal_scan_fini(&scan);
    return err;
}

int wal_reader_new(struct wal_reader **out, struct wal_io *io, wal_visit_fn visit, void *arg)
{
    struct wal_reader *reader = malloc(sizeof(*reader));
    if (reader == NULL) {
        return TALLY_NOMEM;
    }
    wal_scan_init(&reader->scan, io, visit, arg);
    *out = reader;
    return 0;
}

void wal_reader_destroy(struct wal_reader *reader)
{
    wal_scan_fini(&reader->scan);
    free(reader);
}

int wal_reader_judge(struct wal_reader *reader, struct wal_report *report)
{
    return read_on(&reader->scan, report);
}

int wal_reader_more(struct wal_reader *reader, bool *is_blank)
{
    return wal_scan_more(&reader->scan, is_blank);
}
