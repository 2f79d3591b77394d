/* From JSON lines of many runs to the tables of a README: medians and ratios, with the targets. */
#ifndef TALLY_BENCH_TABLE_H
#define TALLY_BENCH_TABLE_H

/* Reads the lines from standard input and prints Markdown. Returns the exit code. */
int table_print(void);

#endif
