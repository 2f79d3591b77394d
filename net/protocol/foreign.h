/* Lines of other protocols: a client of tally does not send them. */
#ifndef TALLY_NET_PROTOCOL_FOREIGN_H
#define TALLY_NET_PROTOCOL_FOREIGN_H

#include "wal/base/span.h"

#include <stdbool.h>

/*
 * An attacker can make a browser or another server connect to our port and send lines of his among
 * its own: they must not be run as requests. The first line of such a peer shows that it is not a
 * client of tally.
 *
 * foreign_begin: whether a first line, or the part of it that has come, does not begin with a word
 * of letters, as every verb is. Blanks before the word, and a line of blanks alone, are ours.
 *
 * foreign_line: whether a line with an unknown verb, or one that cannot be cut into words, begins
 * with a method of HTTP or a header (`Host:`), or ends in a version of HTTP.
 *
 * foreign_is_text: whether the line is UTF-8 without control characters, but tabs.
 */
bool foreign_begin(struct span part);
bool foreign_line(struct span line);
bool foreign_is_text(struct span line);

#endif
