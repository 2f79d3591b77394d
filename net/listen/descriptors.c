/* File descriptors: how many the process may have, and how many of them are for connections. */
#include "net/listen/descriptors.h"

#include "wal/base/check.h"

#include <fcntl.h>
#include <sys/resource.h>

/* Inherited descriptors have low numbers: they are counted below this one only. */
enum { LOOKED_AT_MAX = 1 << 16 };

static uint32_t open_now(void)
{
    uint32_t count = 0;
    for (int fd = 0; fd < LOOKED_AT_MAX; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

/* Returns the soft limit, after it was raised towards `wanted`. */
static uint64_t raise_to(uint64_t wanted)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return 0;
    }
    if (files.rlim_cur < wanted) {
        struct rlimit more = files;
        more.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
        if (setrlimit(RLIMIT_NOFILE, &more) == 0) {
            files = more;
        }
    }
    return files.rlim_cur < UINT32_MAX ? files.rlim_cur : UINT32_MAX;
}

void descriptors_claim(struct descriptors *descriptors, uint32_t connections_max, unsigned threads)
{
    /* tallyd refuses --threads below 1 */
    CHECK(threads > 0);
    uint64_t kept_back = DESCRIPTORS_LOG + DESCRIPTORS_OTHER + DESCRIPTORS_THREAD * threads;
    uint64_t taken = kept_back + open_now();
    uint64_t limit = raise_to(taken + connections_max);
    uint64_t left = limit > taken ? limit - taken : 0;
    *descriptors = (struct descriptors){
        .limit = (uint32_t)limit,
        .needed = (uint32_t)taken + DESCRIPTORS_CONNECTIONS_MIN,
        .connections = left < connections_max ? (uint32_t)left : connections_max,
    };
}
