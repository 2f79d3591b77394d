/* The address to listen on: reading it, asking whether it is loopback, and printing it. */
#include "net/listen/address.h"

#include "wal/base/check.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { PORT_TEXT_BYTES = 8, LOOPBACK_NET = 127 };

static bool is_loopback(const struct sockaddr *at)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)at;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)at;
    if (at->sa_family == AF_INET) {
        return ntohl(v4->sin_addr.s_addr) >> 24 == LOOPBACK_NET;
    }
    if (at->sa_family != AF_INET6) {
        return false;
    }
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
           (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == LOOPBACK_NET);
}

bool address_is_loopback(const struct address *address)
{
    return is_loopback((const struct sockaddr *)&address->at);
}

static int look_up(const char *text, uint16_t port, int flags, struct addrinfo **found)
{
    char digits[PORT_TEXT_BYTES];
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV | AI_PASSIVE | flags};
    snprintf(digits, sizeof(digits), "%u", (unsigned)port);
    return getaddrinfo(text, digits, &hints, found);
}

static const struct addrinfo *choose(const struct addrinfo *found)
{
    CHECK(found != NULL); /* a look-up that succeeds finds one at least */
    for (const struct addrinfo *one = found; one != NULL; one = one->ai_next) {
        if (one->ai_family == AF_INET) {
            return one;
        }
    }
    return found;
}

static bool are_loopback(const struct addrinfo *found)
{
    while (found != NULL && is_loopback(found->ai_addr)) {
        found = found->ai_next;
    }
    return found == NULL;
}

/* Copies "[::1]" without its brackets. Returns false when the text has none. */
static bool read_brackets(const char *text, char *inside, size_t inside_bytes)
{
    size_t len = strlen(text);
    if (len < 2 || len > inside_bytes || text[0] != '[' || text[len - 1] != ']' ||
        memchr(text, ':', len) == NULL) {
        return false;
    }
    memcpy(inside, text + 1, len - 2);
    inside[len - 2] = '\0';
    return true;
}

int address_read(struct address *address, const char *text, uint16_t port, const char **why)
{
    struct addrinfo *found = NULL;
    char inside[INET6_ADDRSTRLEN + 2];
    bool is_name = false;
    bool is_bracketed = read_brackets(text, inside, sizeof(inside));
    int err = look_up(is_bracketed ? inside : text, port, AI_NUMERICHOST, &found);
    bool has_colon = strchr(text, ':') != NULL; /* no name has one */
    if (err == EAI_NONAME && !has_colon) {
        is_name = true;
        err = look_up(text, port, 0, &found);
    }
    if (err != 0) {
        *why = err == EAI_NONAME && has_colon ? "it is no address; the port is said with --port"
                                              : gai_strerror(err);
        return -EINVAL;
    }
    if (is_name && !are_loopback(found)) {
        freeaddrinfo(found);
        *why = "this name stands for more than loopback: give the address to listen on in digits";
        return -EINVAL;
    }
    const struct addrinfo *one = choose(found);
    /* sockaddr_storage holds every family that the system has */
    CHECK(one->ai_addrlen <= sizeof(address->at));
    memcpy(&address->at, one->ai_addr, one->ai_addrlen);
    address->at_bytes = one->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

void address_tell(int fd, char *text, size_t text_bytes)
{
    struct sockaddr_storage at = {0};
    socklen_t at_bytes = sizeof(at);
    char host[NI_MAXHOST] = "?";
    char port[NI_MAXSERV] = "?";
    if (getsockname(fd, (struct sockaddr *)&at, &at_bytes) == 0) {
        getnameinfo((struct sockaddr *)&at, at_bytes, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV);
    }
    snprintf(text, text_bytes, at.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}
