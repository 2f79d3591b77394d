/* The sentence that says how a log ends, for people. */
#ifndef TALLY_WAL_READ_REPORT_H
#define TALLY_WAL_READ_REPORT_H

#include "wal/read/scan_state.h"
#include "wal/types.h"

/* Appends to the report's sentence. */
void wal_report_append(struct wal_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Makes it the report of a call that ends with that error, and says why. Returns err. */
int wal_report_refuse(struct wal_report *report, int err, const char *text);

/* Fills the report from a scan that has run, except for the fields about snapshots. */
void wal_report_fill(const struct wal_scan *scan, struct wal_report *report);

/* The error that goes with the verdict of a scan that has run; 0 for a log that can be opened. */
int wal_report_error(const struct wal_scan *scan);

#endif
