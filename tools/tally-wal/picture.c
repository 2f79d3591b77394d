/* Pictures of characters: horizontal bars and vertical columns. */
#include "tools/tally-wal/picture.h"

#include "wal/base/number.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { COLUMNS_DEFAULT = 80, COLUMNS_MIN = 60, STEPS = 8 };

static const char *const lying[STEPS + 1] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
static const char *const standing[STEPS + 1] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const plain[STEPS + 1] = {" ", ".", ".", ".", "#", "#", "#", "#", "#"};

static unsigned columns_of(FILE *out)
{
    struct winsize size;
    uint64_t said;
    const char *text = getenv("COLUMNS");
    if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        return size.ws_col;
    }
    return text != NULL && number_parse(text, &said) && said > 0 && said <= PICTURE_COLUMNS_MAX
               ? (unsigned)said
               : COLUMNS_DEFAULT;
}

void picture_init(struct picture *picture, FILE *out)
{
    unsigned columns = columns_of(out);
    columns = columns < COLUMNS_MIN ? COLUMNS_MIN : columns;
    *picture = (struct picture){
        .out = out,
        .is_unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
        .columns = columns < PICTURE_COLUMNS_MAX ? columns : PICTURE_COLUMNS_MAX,
    };
}

/* value / max in eighths of a character, of `characters` of them. */
static unsigned steps_of(uint64_t value, uint64_t max, unsigned characters)
{
    if (value == 0 || max == 0) {
        return 0;
    }
    unsigned all = characters * STEPS;
    unsigned steps = (unsigned)((double)value / (double)max * all + 0.5);
    return steps == 0 ? 1 : steps < all ? steps : all;
}

void picture_bar(const struct picture *picture, unsigned width, uint64_t value, uint64_t max)
{
    const char *const *signs = picture->is_unicode ? lying : plain;
    unsigned steps = steps_of(value, max, width);
    for (unsigned i = 0; i < width; i++) {
        unsigned here = steps < STEPS ? steps : STEPS;
        fputs(signs[here], picture->out);
        steps -= here;
    }
}

void picture_columns(const struct picture *picture, const uint64_t *values, size_t count,
                     unsigned rows, unsigned indent)
{
    const char *const *signs = picture->is_unicode ? standing : plain;
    uint64_t max = 0;
    for (size_t i = 0; i < count; i++) {
        max = values[i] > max ? values[i] : max;
    }
    for (unsigned row = rows; row-- > 0;) {
        fprintf(picture->out, "%*s", (int)indent, "");
        for (size_t i = 0; i < count; i++) {
            unsigned steps = steps_of(values[i], max, rows);
            unsigned below = row * STEPS;
            unsigned here = steps <= below ? 0 : steps - below;
            fputs(signs[here < STEPS ? here : STEPS], picture->out);
        }
        fputc('\n', picture->out);
    }
}
