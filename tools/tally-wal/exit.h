/* The exit codes of tally-wal; a test compares them with --help and README.md. */
#ifndef TALLY_TOOLS_TALLY_WAL_EXIT_H
#define TALLY_TOOLS_TALLY_WAL_EXIT_H

enum {
    EXIT_WHOLE = 0,
    EXIT_TORN = 4,        /* the log ends in a torn tail, which a start or `repair` would clear */
    EXIT_DAMAGE = 5,      /* damaged, or written by a newer version: refused */
    EXIT_USAGE = 64,      /* wrong options; a moment that is not in the log */
    EXIT_MISSING = 66,    /* there is no log in the directory */
    EXIT_IN_USE = 73,     /* a server has locked the directory; NEWDIR exists and is not empty */
    EXIT_UNREADABLE = 74, /* a file call failed, or there is no memory */
    EXIT_CUT = 75,        /* retention has removed records before they were read: run it again */
};

#endif
