/* An engine that is opened on a directory of its own. */
#include "tests/hostile/opened.h"

#include <criterion/criterion.h>

char dir[128];
struct tally *tally;
struct tally_report report;
struct handle handle;

void opened_init(void)
{
    files_temp_dir(dir, sizeof(dir));
}

void opened_fini(void)
{
    files_remove_tree(dir);
}

void opened_fresh(void)
{
    opened_fini();
    opened_init();
}

int opened_start(void)
{
    struct tally_options options = {.dir = dir, .create = true, .edges = 1};
    int err = tally_open(&tally, &options, &report);
    if (err == 0) {
        handle_open(&handle, tally);
    }
    return err;
}

void opened_stop(void)
{
    handle_close(&handle);
    cr_assert_eq(tally_close(tally), 0);
}
