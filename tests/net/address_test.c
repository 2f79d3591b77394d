/* Addresses: a name is accepted only if all of its addresses are loopback. */
#include "net/listen/address.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netdb.h>
#include <stdlib.h>

/* ---- a name service of the test's own ---- */

static const struct {
    const char *name;
    const char *addresses[3];
} names[] = {
    {"localhost", {"::1", "127.0.0.1"}},  {"six", {"::1"}},
    {"mapped", {"::ffff:127.0.0.9"}},     {"elsewhere", {"192.0.2.1"}},
    {"both", {"127.0.0.1", "192.0.2.1"}}, {"both6", {"::1", "2001:db8::1"}},
};

static struct addrinfo *make(const char *text, struct addrinfo *next)
{
    struct addrinfo *one = calloc(1, sizeof(*one));
    struct sockaddr_storage *at = calloc(1, sizeof(*at));
    struct sockaddr_in *v4 = (struct sockaddr_in *)at;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)at;
    cr_assert(one != NULL && at != NULL);
    *one = (struct addrinfo){.ai_addr = (struct sockaddr *)at, .ai_next = next};
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        at->ss_family = AF_INET;
        one->ai_addrlen = sizeof(*v4);
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        at->ss_family = AF_INET6;
        one->ai_addrlen = sizeof(*v6);
    } else {
        free(at);
        free(one);
        return NULL;
    }
    one->ai_family = at->ss_family;
    return one;
}

int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict found)
{
    (void)service;
    *found = make(name, NULL);
    for (size_t i = 0; (hints->ai_flags & AI_NUMERICHOST) == 0 && i < 6; i++) {
        for (size_t k = 3; strcmp(names[i].name, name) == 0 && k-- > 0;) {
            *found = names[i].addresses[k] != NULL ? make(names[i].addresses[k], *found) : *found;
        }
    }
    return *found != NULL ? 0 : EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *found)
{
    while (found != NULL) {
        struct addrinfo *next = found->ai_next;
        free(found->ai_addr);
        free(found);
        found = next;
    }
}

/* ---- the cases ---- */

static void expect(const char *text, int family, bool is_loopback)
{
    struct address address;
    const char *why = NULL;
    cr_assert_eq(address_read(&address, text, 1, &why), 0, "'%s': %s", text, why);
    cr_expect_eq(address.at.ss_family, family, "'%s'", text);
    cr_expect_eq(address_is_loopback(&address), is_loopback, "'%s'", text);
}

static void expect_refused(const char *text)
{
    struct address address;
    const char *why = NULL;
    cr_expect_lt(address_read(&address, text, 1, &why), 0, "'%s'", text);
    cr_expect_not_null(why);
}

Test(address, loopback_is_what_only_this_machine_reaches)
{
    expect("127.0.0.1", AF_INET, true);
    expect("127.255.0.3", AF_INET, true);
    expect("::1", AF_INET6, true);
    expect("[::1]", AF_INET6, true); /* as address_tell writes it */
    expect("::ffff:127.0.0.1", AF_INET6, true);
    expect("0.0.0.0", AF_INET, false);
    expect("::", AF_INET6, false);
    expect("::ffff:192.0.2.1", AF_INET6, false);
    expect("128.0.0.1", AF_INET, false);
}

Test(address, a_name_of_loopback_is_taken_the_first_ipv4_of_it)
{
    expect("localhost", AF_INET, true);
    expect("six", AF_INET6, true);
    expect("mapped", AF_INET6, true);
}

Test(address, a_name_of_anything_else_is_refused)
{
    expect_refused("elsewhere");
    expect_refused("both");
    expect_refused("both6");
    expect_refused("nowhere");
    expect_refused("");
    expect_refused("[127.0.0.1]");
    expect_refused("[]");
    expect_refused("[::1");
    expect_refused("[::1]:80");
    expect_refused("127.0.0.1:80");
}
