/* The address to listen on: a numeric one, or a name of this machine's loopback. */
#ifndef TALLY_NET_LISTEN_ADDRESS_H
#define TALLY_NET_LISTEN_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
    struct sockaddr_storage at;
    socklen_t at_bytes;
};

/*
 * Reads `text`; an IPv6 address may stand in brackets, as address_tell writes it. A name is looked
 * up, and taken if all of its addresses are loopback: any other address has to be given in digits,
 * so that no name service decides who can reach the server. Of several addresses the first IPv4 one
 * is taken, else the first.
 * Returns 0, or -EINVAL with the reason in *why (static). Threads: may block for the time of a
 * look-up.
 */
int address_read(struct address *address, const char *text, uint16_t port, const char **why);

/* Whether only this machine can reach the address. */
bool address_is_loopback(const struct address *address);

/* Writes "ADDRESS:PORT" of a bound socket, "[ADDRESS]:PORT" for IPv6. */
void address_tell(int fd, char *text, size_t text_bytes);

#endif
