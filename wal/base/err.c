/* The names and texts of the error list. */
#include "wal/base/err.h"

struct err_words {
    const char *name;
    const char *text;
};

static const struct err_words err_words[TALLY_ERR_COUNT] = {{"OK", "done"},
#define X(name, text) {#name, text},
                                                            TALLY_ERR_LIST(X)
#undef X
};

static const struct err_words *words_of(int err)
{
    static const struct err_words nothing = {"?", "unknown error"};
    return err <= 0 && err > -(int)TALLY_ERR_COUNT ? &err_words[-err] : &nothing;
}

const char *tally_err_name(int err)
{
    return words_of(err)->name;
}

const char *tally_err_text(int err)
{
    return words_of(err)->text;
}
