/* The door: listens before there is anything to serve, and says so to whoever comes. */
#ifndef TALLY_NET_DOOR_H
#define TALLY_NET_DOOR_H

#include <stddef.h>
#include <stdint.h>

struct door;

/*
 * Binds, and starts a thread that answers: the first line of a connection gets ERR LOADING with how
 * far it is (INFO: one row, loading_percent), then the connection is closed, whatever else it said.
 * A connection that has said nothing yet stays and is served later. *address is filled with
 * "ADDRESS:PORT" as bound ([..]:PORT for IPv6). Returns 0 or a negative errno. Owns: *out is the
 * caller's until door_open.
 */
int door_new(struct door **out, const char *bind, uint16_t port, char *address,
             size_t address_bytes);

/* Says how far it is, 0 to 100. Any thread. */
void door_progress(struct door *door, unsigned percent);

/* Ends the thread and frees the door. Returns the listening socket, which is the caller's, and
 * whose queue has lost nobody. Threads: the one that made it. */
int door_open(struct door *door);

#endif
