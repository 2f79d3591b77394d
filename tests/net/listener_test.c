/* The listener: guests that send without end keep no other guest out. */
#undef _FORTIFY_SOURCE /* recv is defined below */
#include "net/listen/address.h"
#include "net/listen/listener.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REPLY_MS = 20000 };

/* ---- a network of the test's own ---- */

static _Atomic bool is_endless;

/* While it is endless, a recv that takes input finds as much again. */
ssize_t recv(int fd, void *to, size_t len, int flags)
{
    /* T1: relaxed: set before the listener is made */
    if (atomic_load_explicit(&is_endless, memory_order_relaxed) && (flags & MSG_PEEK) == 0) {
        memset(to, 'x', len);
        return (ssize_t)len;
    }
    return recvfrom(fd, to, len, flags, NULL, NULL);
}

/* ---- guests ---- */

static struct listener *listener;
static struct address address;

static void begin(void)
{
    char told[128];
    const char *why = "";
    cr_assert_eq(address_read(&address, "127.0.0.1", 0, &why), 0, "%s", why);
    cr_assert_eq(listener_new(&listener, &address, 60, told, sizeof(told)), 0);
    unsigned long port = strtoul(strrchr(told, ':') + 1, NULL, 10);
    cr_assert_eq(address_read(&address, "127.0.0.1", (uint16_t)port, &why), 0, "%s", why);
}

static int come(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (const struct sockaddr *)&address.at, address.at_bytes), 0);
    cr_assert_eq(write(fd, "PING\n", 5), 5);
    return fd;
}

static void expect_loading(int fd)
{
    char reply[128] = "";
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    cr_assert_eq(poll(&polled, 1, REPLY_MS), 1, "it is not answered");
    cr_assert_gt(read(fd, reply, sizeof(reply) - 1), 0);
    cr_expect_not_null(strstr(reply, "ERR LOADING"), "%s", reply);
}

static void end(void)
{
    struct listener_handed handed;
    listener_hand_over(listener, &handed);
    cr_expect_eq(handed.guest_count, 0, "they had their answer");
    close(handed.listen_fd);
}

Test(listener, answers_the_first_line)
{
    begin();
    int guest = come();
    expect_loading(guest);
    close(guest);
    end();
}

Test(listener, goes_on_beside_a_guest_whose_input_has_no_end)
{
    /* T2: relaxed: as T1 */
    atomic_store_explicit(&is_endless, true, memory_order_relaxed);
    begin();
    int endless = come();
    expect_loading(endless);
    cr_assert_eq(write(endless, "more", 4), 4);
    int other = come();
    expect_loading(other);
    end();
    close(other);
    close(endless);
}
