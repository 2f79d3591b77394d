/* How tallyd ends: a table of errors, with the exit code and the remedy for each. */
#ifndef TALLY_TOOLS_TALLYD_ENDING_H
#define TALLY_TOOLS_TALLYD_ENDING_H

enum {
    EXIT_USAGE = 64,
    EXIT_DAMAGED = 65,
    EXIT_MISSING = 66,
    EXIT_ADDRESS = 69,
    EXIT_MEMORY = 71,
    EXIT_IN_USE = 73,
    EXIT_IO = 74,
    EXIT_NO_SPACE = 75,
    EXIT_NEWER = 76,
    EXIT_FORBIDDEN = 77,
    EXIT_CONFIG = 78,
};

struct ending {
    int err;
    int code;
    const char *remedy; /* one line for the operator */
};

/* Why the data cannot be opened: an error of tally_open. Static storage. */
const struct ending *ending_of_data(int err);

/* Why the address cannot be listened on: a negative errno value of listener_new. Static storage. */
const struct ending *ending_of_listener(int err);

/* Why the threads that serve cannot run: a negative errno value of server_start or stop_watch.
 * Static storage. */
const struct ending *ending_of_serving(int err);

#endif
