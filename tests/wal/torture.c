/* A writer, its helper, its janitor, a reader and one that only asks, all at once: for
 * ThreadSanitizer. */
#include "wal/wal.h"

#include "wal/base/check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 3, BLOCKS = 1500, RAW_BYTES = 9000 };

static struct wal *wal;
static atomic_bool done;
static pthread_barrier_t start;

static void *write_blocks(void *arg)
{
    static unsigned char raw[RAW_BYTES];
    (void)arg;
    pthread_barrier_wait(&start);
    for (size_t i = 0; i < BLOCKS; i++) {
        CHECK(wal_append(wal, 1, raw, 1 + i * 5 % RAW_BYTES) == 0);
        CHECK(i % 5 != 0 || wal_confirm(wal) == 0);
    }
    atomic_store_explicit(&done, true, memory_order_release);
    return NULL;
}

static void *ask(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&start);
    while (!atomic_load_explicit(&done, memory_order_acquire)) {
        CHECK(!wal_disk_full(wal));
        CHECK(wal_room_bytes(wal) <= 2 * WAL_SEGMENT_BYTES_MIN);
        struct wal_janitor_stats stats;
        wal_janitor_stats(wal, &stats);
        CHECK(stats.pack_failures == 0);
    }
    return NULL;
}

static void one_round(struct wal_io *io, struct wal_io *reader_io, bool clean)
{
    pthread_t threads[2];
    struct wal_report report;
    const struct wal_janitor_options janitor = {.pack_bytes_per_s = (uint64_t)1 << 30};
    struct wal_options options = {
        .io = io, .segment_bytes = WAL_SEGMENT_BYTES_MIN, .janitor = &janitor};
    int err = wal_open(&wal, &options, NULL, NULL, &report);
    CHECK(err == 0);
    atomic_store_explicit(&done, false, memory_order_release);
    CHECK(pthread_create(&threads[0], NULL, write_blocks, NULL) == 0);
    CHECK(pthread_create(&threads[1], NULL, ask, NULL) == 0);
    pthread_barrier_wait(&start);
    while (!atomic_load_explicit(&done, memory_order_acquire)) {
        err = wal_reader_once(reader_io, NULL, NULL, &report);
        CHECK(err == 0);
    }
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    err = wal_close(wal, clean);
    CHECK(err == 0);
}

static int remove_file(void *arg, const char *name)
{
    struct wal_io *io = arg;
    return name[0] == '.' ? 0 : io->ops->unlink(io, name);
}

int main(void)
{
    char path[128];
    const char *tmp = getenv("TMPDIR");
    struct wal_io *io;
    struct wal_io *reader_io;
    snprintf(path, sizeof(path), "%.80s/tally-torture-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    CHECK(mkdtemp(path) != NULL);
    CHECK(wal_file_io_new(&io, path, 1) == 0 && wal_file_io_new(&reader_io, path, 0) == 0);
    pthread_barrier_init(&start, NULL, 3);
    for (int i = 0; i < ROUNDS; i++) {
        one_round(io, reader_io, i % 2 == 1);
    }
    pthread_barrier_destroy(&start);
    io->ops->list(io, remove_file, io);
    io->ops->destroy(io);
    reader_io->ops->destroy(reader_io);
    CHECK(rmdir(path) == 0);
    return 0;
}
