/* An engine that is opened on a directory of its own, which a test has forged. */
#ifndef TALLY_TESTS_HOSTILE_OPENED_H
#define TALLY_TESTS_HOSTILE_OPENED_H

#include "tests/engine/handle.h"

extern char dir[128];
extern struct tally *tally;
extern struct tally_report report;
extern struct handle handle;

/* Make a directory and remove it, for each test; replace it by an empty one. */
void opened_init(void);
void opened_fini(void);
void opened_fresh(void);

/* Opens the engine, and the handle if that succeeds. Returns what tally_open returns. */
int opened_start(void);
void opened_stop(void);

#endif
