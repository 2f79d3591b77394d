/* The API key: kept padded to one length, compared whole. */
#include "net/pipeline/auth.h"

#include "wal/base/check.h"

bool auth_init(struct auth *auth, const char *key)
{
    *auth = (struct auth){.is_needed = key != NULL};
    if (key == NULL) {
        return true;
    }
    auth->len = strlen(key);
    if (auth->len > sizeof(auth->key)) {
        return false;
    }
    memcpy(auth->key, key, auth->len);
    return true;
}

void auth_fini(struct auth *auth)
{
    explicit_bzero(auth, sizeof(*auth));
}

/*
 * The time of the comparison must show neither the length of the key nor the place of the first
 * wrong byte. So both sides are padded to one fixed length, and the loop reads every byte without a
 * branch on any; the lengths are compared at the end. `volatile` keeps the compiler from ending the
 * loop early.
 */
bool auth_accepts(const struct auth *auth, struct span key)
{
    unsigned char sent[AUTH_KEY_BYTES_MAX] = {0};
    volatile unsigned char differs = 0;
    /* the key is the operator's: auth_init has refused a longer one */
    CHECK(auth->len <= sizeof(auth->key));
    size_t len = key.len < sizeof(sent) ? key.len : sizeof(sent);
    if (len > 0) {
        memcpy(sent, key.at, len);
    }
    for (size_t i = 0; i < sizeof(sent); i++) {
        differs = (unsigned char)(differs | (sent[i] ^ auth->key[i]));
    }
    explicit_bzero(sent, sizeof(sent));
    differs = (unsigned char)(differs | (key.len != auth->len));
    return differs == 0;
}
