/* The writer thread of snapshots: it writes chunks to a file, proves it, and removes old files. */
#include "engine/commit/snapshot_writer.h"

#include "engine/apply/snapshot_proof.h"
#include "wal/background/retain.h"
#include "wal/base/bytes.h"
#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/thread.h"
#include "wal/files/snapshot_list.h"
#include "wal/files/snapshot_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void chunk_free(const struct snapshot_writer *writer, struct snapshot_chunk *chunk)
{
    ledger_sub(writer->ledger, LEDGER_SAVES, chunk->images.capacity);
    image_buf_fini(&chunk->images);
    free(chunk);
}

/* ---- the committer's side ---- */

static void begin_phase(struct snapshot_writer *writer, enum hand_over_phase phase, uint64_t lsn,
                        bool is_full)
{
    pthread_mutex_lock(&writer->mutex);
    /* one at a time, like the capture: only the committer begins a snapshot */
    CHECK(writer->phase == HAND_IDLE);
    writer->phase = phase;
    writer->lsn = lsn;
    writer->is_full = is_full;
    pthread_cond_signal(&writer->changed);
    pthread_mutex_unlock(&writer->mutex);
}

void snapshot_writer_begin(struct snapshot_writer *writer, uint64_t lsn, bool is_full)
{
    begin_phase(writer, HAND_OPEN, lsn, is_full);
}

void snapshot_writer_sweep(struct snapshot_writer *writer)
{
    begin_phase(writer, HAND_SWEEP, 0, true);
}

int snapshot_writer_put(void *arg, struct image_buf *images)
{
    struct snapshot_writer *writer = arg;
    struct snapshot_chunk *chunk = malloc(sizeof *chunk);
    if (chunk == NULL) {
        return TALLY_NOMEM;
    }
    *chunk = (struct snapshot_chunk){.images = *images};
    *images = (struct image_buf){.at = NULL};
    ledger_add(writer->ledger, LEDGER_SAVES, chunk->images.capacity);
    pthread_mutex_lock(&writer->mutex);
    bool is_open = writer->phase == HAND_OPEN; /* else the writer has failed already */
    if (is_open) {
        *(writer->last != NULL ? &writer->last->next : &writer->first) = chunk;
        writer->last = chunk;
        writer->count++;
        pthread_cond_signal(&writer->changed);
    }
    pthread_mutex_unlock(&writer->mutex);
    if (!is_open) {
        chunk_free(writer, chunk);
    }
    return is_open ? 0 : TALLY_IO;
}

void snapshot_writer_close(struct snapshot_writer *writer, bool is_whole)
{
    pthread_mutex_lock(&writer->mutex);
    if (writer->phase == HAND_OPEN) {
        writer->phase = is_whole ? HAND_CLOSED : HAND_ABANDONED;
    }
    pthread_cond_signal(&writer->changed);
    pthread_mutex_unlock(&writer->mutex);
}

bool snapshot_writer_is_full(struct snapshot_writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    bool full = writer->count >= SNAPSHOT_CHUNKS_MAX;
    pthread_mutex_unlock(&writer->mutex);
    return full;
}

bool snapshot_writer_result(struct snapshot_writer *writer, struct snapshot_result *result)
{
    pthread_mutex_lock(&writer->mutex);
    bool ended = writer->phase == HAND_ENDED;
    if (ended) {
        *result = writer->result;
        writer->phase = HAND_IDLE;
    }
    pthread_mutex_unlock(&writer->mutex);
    return ended;
}

/* ---- the thread ---- */

/* Returns the next chunk; NULL when no more come, and *is_whole says whether all have come. */
static struct snapshot_chunk *next_chunk(struct snapshot_writer *writer, bool *is_whole)
{
    pthread_mutex_lock(&writer->mutex);
    while (writer->first == NULL && writer->phase == HAND_OPEN && !writer->stopping) {
        pthread_cond_wait(&writer->changed, &writer->mutex);
    }
    struct snapshot_chunk *chunk = NULL;
    bool wakes = false;
    *is_whole = writer->phase == HAND_CLOSED && !writer->stopping;
    if (writer->phase != HAND_ABANDONED && !writer->stopping && writer->first != NULL) {
        chunk = writer->first;
        writer->first = chunk->next;
        writer->last = writer->first != NULL ? writer->last : NULL;
        wakes = writer->count-- == SNAPSHOT_CHUNKS_MAX;
    }
    pthread_mutex_unlock(&writer->mutex);
    if (wakes) {
        writer->wake(writer->arg);
    }
    return chunk;
}

/* Ends the file, and proves that it holds a state that can be loaded: else the log would be removed
 * for a file that no start accepts. */
static int end_proved(struct snapshot_writer *writer, struct wal_snapshot_writer *snap,
                      uint64_t *bytes)
{
    struct snapshot_proof proof;
    snapshot_proof_init(&proof, writer->lsn);
    int err = wal_snapshot_writer_end(snap, snapshot_proof_block, &proof, bytes);
    if (err == TALLY_CORRUPT && proof.why != NULL) {
        snprintf(writer->why, sizeof writer->why, "it cannot be loaded: %s", proof.why);
    }
    snapshot_proof_fini(&proof);
    return err;
}

static int write_all(struct snapshot_writer *writer, struct wal_snapshot_writer *snap,
                     uint64_t *bytes)
{
    bool is_whole = false;
    struct snapshot_chunk *chunk = NULL;
    while ((chunk = next_chunk(writer, &is_whole)) != NULL) {
        int err =
            wal_snapshot_writer_put(snap, chunk->images.count, chunk->images.at, chunk->images.len);
        chunk_free(writer, chunk);
        if (err != 0) {
            return err;
        }
    }
    return is_whole ? end_proved(writer, snap, bytes) : TALLY_NOMEM;
}

/* Whether a block is older than retain_ms. A block begins with its time (engine/log/columns.h). */
static bool is_old(void *arg, const struct wal_block *block)
{
    const struct snapshot_writer *writer = arg;
    const unsigned char *at = block->raw;
    uint64_t time_ms = 0;
    uint64_t now_ms = time_log_ms(writer->time);
    return get_varint(&at, at + block->raw_bytes, &time_ms) == 0 && now_ms > writer->retain_ms &&
           time_ms < now_ms - writer->retain_ms;
}

/* Removes the segments that the older snapshot holds and that are not, or cannot be, retained. */
static void retain(struct snapshot_writer *writer, struct snapshot_result *result, bool is_full)
{
    const struct wal_retain retain = {.safe_lsn = writer->older_lsn,
                                      .bytes_max = is_full ? 0 : writer->retain_bytes,
                                      .is_old = is_old,
                                      .arg = writer,
                                      .files_lock = wal_files_lock(writer->wal)};
    int removed = wal_retain(writer->io, &retain);
    if (removed < 0) {
        snprintf(result->why, sizeof result->why, "the old files cannot be removed: %s",
                 tally_err_text(removed));
    } else {
        result->segments_removed = (uint64_t)removed;
    }
}

/* After a snapshot counts: removes the third one, and the segments that the two do not need. */
static void tidy_up(struct snapshot_writer *writer, struct snapshot_result *result, bool is_full)
{
    writer->older_lsn = writer->newest_lsn;
    writer->newest_lsn = result->lsn;
    int err = wal_snapshot_list_keep(writer->io, writer->newest_lsn, writer->older_lsn);
    if (err != 0) {
        snprintf(result->why, sizeof result->why, "the old files cannot be removed: %s",
                 tally_err_text(err));
    } else {
        retain(writer, result, is_full);
    }
}

/* Finds the older snapshot after a start: only the newest is known to be whole, so the older one is
 * read before it counts. */
static void find_older(struct snapshot_writer *writer)
{
    uint64_t lsn = 0;
    struct wal_snapshot_info info;
    struct snapshot_proof proof;
    if (wal_snapshot_list_before(writer->io, writer->newest_lsn, &lsn) != 0 || lsn == 0) {
        return;
    }
    snapshot_proof_init(&proof, lsn);
    if (wal_snapshot_read(writer->io, lsn, snapshot_proof_block, &proof, &info) == 0) {
        writer->older_lsn = lsn;
    }
    snapshot_proof_fini(&proof);
}

static void sweep(struct snapshot_writer *writer, struct snapshot_result *result)
{
    if (writer->older_lsn == 0 && writer->newest_lsn != 0) {
        find_older(writer);
    }
    if (writer->older_lsn != 0) {
        retain(writer, result, true);
    }
    result->gain_bytes = wal_retain_bytes(writer->io, writer->newest_lsn) +
                         wal_snapshot_list_bytes(writer->io, writer->older_lsn);
    result->gain2_bytes = wal_retain_bytes(writer->io, WAL_LSN_MAX);
}

static void make_one(struct snapshot_writer *writer, struct snapshot_result *result, bool is_full)
{
    struct wal_snapshot_writer *snap = NULL;
    writer->why[0] = '\0';
    result->err = wal_snapshot_writer_new(&snap, writer->io, writer->uuid, result->lsn);
    if (result->err == 0) {
        result->err = write_all(writer, snap, &result->bytes);
    }
    if (result->err != 0) {
        const char *why = writer->why[0] != '\0' ? writer->why
                          : snap != NULL         ? wal_snapshot_writer_why(snap)
                                                 : "";
        snprintf(result->why, sizeof result->why, "%s",
                 why[0] != '\0' ? why : "given up for lack of memory or of disk space");
    }
    wal_snapshot_writer_destroy(snap);
    if (result->err == 0 && result->lsn != writer->newest_lsn) {
        tidy_up(writer, result, is_full);
    }
}

/* Hands the result over. Chunks that have come since a failure are freed. */
static void end_one(struct snapshot_writer *writer, const struct snapshot_result *result)
{
    pthread_mutex_lock(&writer->mutex);
    while (writer->first != NULL) {
        struct snapshot_chunk *chunk = writer->first;
        writer->first = chunk->next;
        chunk_free(writer, chunk);
    }
    writer->last = NULL;
    writer->count = 0;
    writer->result = *result;
    writer->phase = HAND_ENDED;
    pthread_mutex_unlock(&writer->mutex);
    writer->wake(writer->arg);
}

/* Waits for a snapshot or a sweep. Returns false when the thread is to end. */
static bool wait_for_one(struct snapshot_writer *writer, struct snapshot_result *result,
                         bool *is_sweep, bool *is_full)
{
    pthread_mutex_lock(&writer->mutex);
    while (!writer->stopping && (writer->phase == HAND_IDLE || writer->phase == HAND_ENDED)) {
        pthread_cond_wait(&writer->changed, &writer->mutex);
    }
    *result = (struct snapshot_result){.lsn = writer->lsn};
    *is_sweep = writer->phase == HAND_SWEEP;
    *is_full = writer->is_full;
    bool goes_on = !writer->stopping;
    pthread_mutex_unlock(&writer->mutex);
    return goes_on;
}

static void *writer_main(void *arg)
{
    struct snapshot_writer *writer = arg;
    struct snapshot_result result;
    bool is_sweep = false;
    bool is_full = false;
    while (wait_for_one(writer, &result, &is_sweep, &is_full)) {
        if (is_sweep) {
            sweep(writer, &result);
        } else {
            make_one(writer, &result, is_full);
        }
        end_one(writer, &result);
    }
    return NULL;
}

int snapshot_writer_init(struct snapshot_writer *writer)
{
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_cond_init(&writer->changed, NULL);
    return thread_start(&writer->thread, writer_main, writer) == 0 ? 0 : TALLY_THREAD;
}

void snapshot_writer_fini(struct snapshot_writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    writer->stopping = true;
    pthread_cond_signal(&writer->changed);
    pthread_mutex_unlock(&writer->mutex);
    pthread_join(writer->thread, NULL);
    while (writer->first != NULL) {
        struct snapshot_chunk *chunk = writer->first;
        writer->first = chunk->next;
        chunk_free(writer, chunk);
    }
    pthread_mutex_destroy(&writer->mutex);
    pthread_cond_destroy(&writer->changed);
}
