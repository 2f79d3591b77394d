/* The names and texts of the error list. */
#include "wal/base/err.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

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
    static const struct err_words unknown = {"?", "unknown error"};
    int index = err == 0 ? 0 : -err - TALLY_ERR_BASE;
    bool is_code = err == 0 || (index > 0 && index < (int)TALLY_ERR_COUNT);
    return is_code ? &err_words[index] : &unknown;
}

const char *tally_err_name(int err)
{
    return words_of(err)->name;
}

const char *tally_err_text(int err)
{
    return words_of(err)->text;
}

int tally_err_of(int err)
{
    if (err >= 0 || err < -TALLY_ERR_BASE) {
        return err;
    }
    switch (-err) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return TALLY_NOSPC;
    case ENOMEM:
        return TALLY_NOMEM;
    case EACCES:
    case EPERM:
    case EROFS:
        return TALLY_DENIED;
    default:
        return TALLY_IO;
    }
}

const char *tally_err_reason(int err)
{
    if (err < -TALLY_ERR_BASE || err >= 0) {
        return tally_err_text(err);
    }
    const char *reason = err == -EMEDIUMTYPE ? "it is not a regular file" : strerrordesc_np(-err);
    return reason != NULL ? reason : tally_err_text(TALLY_IO);
}
