/* A progress bar on standard error, if that is a terminal. */
#include "tools/tally-wal/progress.h"

#include "wal/base/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LONG_NS  NS_PER_S
#define EVERY_NS ((uint64_t)100000000)

enum { LINE_BYTES = 256, COLUMNS_DEFAULT = 80, BESIDE_BAR = 40 };

void progress_init(struct progress *progress, const char *doing, uint64_t total_bytes)
{
    uint64_t now_ns = clock_mono_ns();
    *progress = (struct progress){.is_on = isatty(STDERR_FILENO) == 1,
                                  .doing = doing,
                                  .total_bytes = total_bytes,
                                  .next_ns = now_ns + LONG_NS};
}

size_t progress_line(char *into, size_t room, unsigned columns, const struct progress *progress,
                     uint64_t done_bytes)
{
    uint64_t total = progress->total_bytes > 0 ? progress->total_bytes : 1;
    uint64_t done = done_bytes < total ? done_bytes : total;
    unsigned width = columns > BESIDE_BAR + 10 ? columns - BESIDE_BAR : 10;
    unsigned filled = (unsigned)((double)done / (double)total * width);
    char bar[LINE_BYTES];
    width = width < sizeof bar ? width : (unsigned)sizeof bar - 1;
    filled = filled < width ? filled : width;
    memset(bar, '.', width);
    memset(bar, '#', filled);
    int len = snprintf(into, room, "%s [%.*s] %3u %% of %.1f MiB", progress->doing, (int)width, bar,
                       (unsigned)((double)done * 100 / (double)total), (double)total / 0x1p20);
    return len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1;
}

void progress_at(struct progress *progress, uint64_t done_bytes)
{
    uint64_t now_ns = progress->is_on ? clock_mono_ns() : 0;
    if (!progress->is_on || now_ns < progress->next_ns) {
        return;
    }
    struct winsize size;
    bool is_known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    char line[LINE_BYTES * 2];
    progress_line(line, sizeof line, is_known ? size.ws_col : COLUMNS_DEFAULT, progress,
                  done_bytes);
    fprintf(stderr, "\r\033[K%s", line);
    progress->is_drawn = true;
    progress->next_ns = now_ns + EVERY_NS;
}

void progress_end(struct progress *progress)
{
    if (progress->is_drawn) {
        fprintf(stderr, "\r\033[K");
        progress->is_drawn = false;
    }
}
