/* All threads of a log at once, for ThreadSanitizer: the writer, its helper threads, a reader and a
 * thread that reads the hints. */
#include "tests/lib/expect.h"
#include "tests/lib/files.h"
#include "wal/wal.h"

#include <pthread.h>
#include <stdatomic.h>

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
        EXPECT(wal_append(wal, 1, raw, 1 + i * 5 % RAW_BYTES) == 0, "append: %s", wal_why(wal));
        EXPECT(i % 5 != 0 || wal_confirm(wal) == 0, "confirm: %s", wal_why(wal));
    }
    atomic_store_explicit(&done, true, memory_order_release);
    return NULL;
}

static void *ask(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&start);
    while (!atomic_load_explicit(&done, memory_order_acquire)) {
        EXPECT(!wal_disk_full(wal), "full");
        EXPECT(wal_room_bytes(wal) <= 2 * WAL_SEGMENT_BYTES_MIN, "two segments at most");
        struct wal_janitor_stats stats;
        wal_janitor_stats(wal, &stats);
        EXPECT(stats.pack_failures == 0, "packing failed");
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
    EXPECT(err == 0, "open: %s", report.text);
    atomic_store_explicit(&done, false, memory_order_release);
    EXPECT(pthread_create(&threads[0], NULL, write_blocks, NULL) == 0, "pthread_create");
    EXPECT(pthread_create(&threads[1], NULL, ask, NULL) == 0, "pthread_create");
    pthread_barrier_wait(&start);
    while (!atomic_load_explicit(&done, memory_order_acquire)) {
        err = wal_reader_once(reader_io, NULL, NULL, &report);
        EXPECT(err == 0, "read: %s", report.text);
    }
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    err = wal_close(wal, clean);
    EXPECT(err == 0, "close: %d", err);
}

int main(void)
{
    char path[128];
    struct wal_io *io;
    struct wal_io *reader_io;
    files_temp_dir(path, sizeof(path));
    EXPECT(wal_file_io_new(&io, path, 1) == 0 && wal_file_io_new(&reader_io, path, 0) == 0, "%s",
           path);
    pthread_barrier_init(&start, NULL, 3);
    for (int i = 0; i < ROUNDS; i++) {
        one_round(io, reader_io, i % 2 == 1);
    }
    pthread_barrier_destroy(&start);
    io->ops->destroy(io);
    reader_io->ops->destroy(reader_io);
    EXPECT(files_remove_tree(path), "%s is still there", path);
    return 0;
}
