/* The sentence that says how a log ends, for people. */
#ifndef TALLY_WAL_READ_REPORT_H
#define TALLY_WAL_READ_REPORT_H

#include "wal/read/scan.h"

/* Notes why a row of the table matches. Of several notes the one of the first row stays, and of
 * that row the first. */
void wal_report_note(struct wal_scan *scan, int row, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Notes a failed file call on a segment: row 1. doing: "cannot read". */
void wal_report_failure(struct wal_scan *scan, uint64_t number, const char *doing, int err);

/* "records 11 to 20", "record 11", or words for a mark, where until is before from. */
void wal_report_range(char *to, size_t room, uint64_t from, uint64_t until);

/* Appends to the report's sentence. */
void wal_report_append(struct wal_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Fills the report from a scan that has run. */
void wal_report_fill(const struct wal_scan *scan, struct wal_report *report);

/* The error that goes with the scan's verdict; 0 for a log that can be opened. */
int wal_report_error(const struct wal_scan *scan);

#endif
