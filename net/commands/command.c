/* The table of commands, made from their list, and the look-up of a verb. */
#include "net/commands/command.h"

#include "net/commands/cmd.h"
#include "net/protocol/word.h"

enum { ANY = PARSE_WORDS_MAX };

#define NEVER                                                                                      \
    {                                                                                              \
        PAYLOAD_NEVER, NULL                                                                        \
    }
#define LAST                                                                                       \
    {                                                                                              \
        PAYLOAD_LAST, NULL                                                                         \
    }
#define AFTER(word)                                                                                \
    {                                                                                              \
        PAYLOAD_AFTER, word                                                                        \
    }

const struct command commands[] = {
#define X(verb, handler, least, most, payload, flags, form, help)                                  \
    {#verb, least, most, payload, flags, cmd_##handler, form, help},
    COMMAND_LIST(X)
#undef X
};

const size_t command_count = sizeof(commands) / sizeof(commands[0]);

const struct command *command_find(struct span verb)
{
    char first = verb.len > 0 ? (char)(verb.at[0] & ~0x20) : '\0';
    for (size_t i = 0; i < command_count; i++) {
        if (commands[i].verb[0] == first && word_equal(verb, commands[i].verb)) {
            return &commands[i];
        }
    }
    return NULL;
}

struct payload_rule command_payload(struct span verb)
{
    const struct command *command = command_find(verb);
    return command == NULL ? (struct payload_rule){PAYLOAD_UNKNOWN_VERB, NULL} : command->payload;
}
