/* The outcome of one run, for people or as one JSON line for `tally-bench table`. */
#ifndef TALLY_BENCH_REPORT_H
#define TALLY_BENCH_REPORT_H

#include "bench/load.h"

void report_text(const struct options *o, const struct result *r);
void report_json(const struct options *o, const struct result *r);

#endif
