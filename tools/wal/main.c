/* tally-wal: reads a log as recovery does and tells what is in it. */
#include "tools/wal/arguments.h"

#include <locale.h>

int main(int argc, char **argv)
{
    struct settings settings;
    setlocale(LC_CTYPE, ""); /* which characters a picture may have; numbers stay as they are */
    int (*run)(const struct settings *) = arguments_read(argc, argv, &settings);
    int code = run(&settings);
    filter_fini(&settings.filter);
    return code;
}
