/* The list of dialects. */
#include "bench/proto.h"

#include <string.h>

const struct proto *proto_find(const char *name)
{
    static const struct proto *const all[] = {&proto_line, &proto_redis, &proto_beanstalk};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strcmp(all[i]->name, name) == 0) {
            return all[i];
        }
    }
    return NULL;
}
