/* Lines of other protocols: what a client of ours cannot have sent. */
#ifndef TALLY_NET_PROTOCOL_FOREIGN_H
#define TALLY_NET_PROTOCOL_FOREIGN_H

#include "wal/base/span.h"

#include <stdbool.h>

/*
 * A browser or another server can be made to speak to our port, with bytes of an attacker somewhere
 * in what it says: a line of them must not be run as a request. What betrays it is its first line.
 *
 * foreign_begin: a first line, or as much of it as is there, that does not begin with a word of
 * letters, as every verb is. Blanks before it, and a line of nothing else, are ours.
 *
 * foreign_line: any line, whose verb is not known or that cannot be cut into words, that begins
 * with a method of HTTP or a header (`Host:`), or ends in a version of HTTP.
 *
 * foreign_is_text: whether the line is UTF-8 without control characters, but tabs.
 */
bool foreign_begin(struct span part);
bool foreign_line(struct span line);
bool foreign_is_text(struct span line);

#endif
