/* A step whose record before never comes ends the process (70), and no thread waits for ever. */
#include "tests/engine/handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[256];

static void on_fatal(void *arg, int code, const char *why)
{
    (void)arg;
    printf("%d: %s\n", code, why);
    fflush(stdout);
    files_remove_tree(dir);
    _exit(code == 70 && strstr(why, "no lane's head is next") != NULL ? 0 : 1);
}

int main(void)
{
    files_temp_dir(dir, sizeof(dir));
    struct tally_options options = {.dir = dir, .edges = 1, .fatal = on_fatal};
    struct tally_report report;
    struct tally *tally = NULL;
    struct handle handle;
    struct edge_vote vote;
    EXPECT(tally_open(&tally, &options, &report) == 0, "open: %s", report.text);
    handle_open(&handle, tally);
    handle_poll(&handle, "p");
    uint64_t id = handle_option(&handle, "p", "A");
    /* a vote that is counted in the word, but whose record never comes */
    (void)word_add(&state_option(&tally->state, id)->word, option_step(1));
    EXPECT(edge_vote(handle.edge, id, 1, &vote) == 0, "vote");
    edge_flush(handle.edge);
    handle_settle(&handle);
    EXPECT(false, "a vote was committed whose predecessor is missing");
}
