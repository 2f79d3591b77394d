/* build.told: one CAS decides. */
#include "engine/edge/told.h"

#include "wal/base/check.h"
#include "wal/base/mutant.h"

enum { TOLD_TAKEN_BACK = 1U << 31 };

static bool told_step(struct build *build, uint32_t *seen, uint32_t to)
{
    /* K5: acq_rel; pairs with K5; acquire on failure */
    return atomic_compare_exchange_strong_explicit(&build->told, seen, to, memory_order_acq_rel,
                                                   memory_order_acquire);
}

bool told_again(struct build *build, uint64_t word)
{
    uint32_t token = status_token(word_status(word));
    DCHECK(status_is_held(word_status(word)));
    uint32_t told = FIELD_GET(build->told); /* before the word: no later claim's is overwritten */
    bool stands = word_status(word_get(&build->word)) == word_status(word);
    return stands && told != (TOLD_TAKEN_BACK | token) &&
           (told == token || told_step(build, &told, token));
}

bool told_take_back(struct build *build, uint32_t token)
{
    DCHECK(token != 0 && token <= BUILD_TOKEN_MAX); /* the token of a claim */
    uint32_t told = FIELD_GET(build->told);
    mutant_pause(MUTANT(MUTANT_TOLD_APART));
    if (MUTANT(MUTANT_TOLD_APART)) {
        return told != token;
    }
    while (told != token) {
        if (told_step(build, &told, TOLD_TAKEN_BACK | token)) {
            return true;
        }
    }
    return false;
}

void told_unsay(struct build *build, uint32_t token)
{
    DCHECK(token != 0 && token <= BUILD_TOKEN_MAX);
    uint32_t told = TOLD_TAKEN_BACK | token;
    (void)told_step(build, &told, 0);
}
