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
 * Digests are compared elsewhere so that neither the length of the key nor the first wrong byte
 * shows in the time. Here both sides are padded to one fixed length, and every byte of it is looked
 * at, with no branch on any of them and the length folded in at the end: the same loop, whatever
 * was sent. `volatile` keeps the compiler from ending it early.
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
