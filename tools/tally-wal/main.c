/* tally-wal: reads a log as recovery does and tells what is in it. */
#include "tools/tally-wal/arguments.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct settings settings;
    setlocale(LC_CTYPE, ""); /* which characters a picture may have; numbers stay as they are */
    int (*run)(const struct settings *) = arguments_read(argc, argv, &settings);
    int code = run(&settings);
    filter_fini(&settings.filter);
    /* what follows a log ends when nobody reads it any more, and that is as it should be */
    if (!settings.follows && (fflush(stdout) != 0 || ferror(stdout) != 0)) {
        fprintf(stderr, "tally-wal: cannot write: %s\n", strerrordesc_np(errno));
        return EXIT_UNREADABLE;
    }
    return code;
}
