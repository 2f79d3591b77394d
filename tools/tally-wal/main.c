/* tally-wal: reads a log as recovery does, and prints or checks its contents. */
#include "tools/tally-wal/arguments.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct settings settings;
    setlocale(LC_CTYPE, ""); /* for the characters of pictures; numbers stay as they are */
    int (*run)(const struct settings *) = arguments_read(argc, argv, &settings);
    int code = run(&settings);
    filter_fini(&settings.filter);
    /* a command that follows ends when its reader is gone: that is no error */
    if (!settings.follows && (fflush(stdout) != 0 || ferror(stdout) != 0)) {
        fprintf(stderr, "tally-wal: cannot write: %s\n", strerrordesc_np(errno));
        return EXIT_UNREADABLE;
    }
    return code;
}
