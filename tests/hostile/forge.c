/* The forger: writes logs and snapshots block by block, with mistakes of the caller's choice. */
#include "tests/hostile/forge.h"

#include "tests/lib/expect.h"
#include "wal/base/bytes.h"
#include "wal/format/codec.h"
#include "wal/format/snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const unsigned char forge_uuid[WAL_UUID_BYTES] = "a forged log...";

static void put(const struct forge *forge, const void *bytes, size_t len, uint64_t offset)
{
    EXPECT(pwrite(forge->fd, bytes, len, (off_t)offset) == (ssize_t)len, "pwrite: %m");
}

static int create(const char *dir, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    EXPECT(fd >= 0, "%s: %m", path);
    return fd;
}

void forge_segment(struct forge *forge, const char *dir, const struct wal_segment_head *head,
                   uint64_t first_lsn)
{
    char name[WAL_NAME_BYTES];
    unsigned char page[WAL_PAGE_BYTES];
    wal_segment_name(name, head->number);
    *forge = (struct forge){.fd = create(dir, name),
                            .head = *head,
                            .offset = WAL_SEGMENT_FIRST_BLOCK,
                            .next = first_lsn};
    EXPECT(ftruncate(forge->fd, (off_t)head->bytes) == 0, "ftruncate: %m");
    wal_segment_head_put(page, head);
    put(forge, page, sizeof(page), 0);
}

void forge_small_segment(struct forge *forge, const char *dir, uint64_t number, uint64_t first_lsn)
{
    struct wal_segment_head head = {.number = number, .bytes = WAL_SEGMENT_BYTES_MIN, .epoch = 1};
    memcpy(head.uuid, forge_uuid, sizeof(head.uuid));
    forge_segment(forge, dir, &head, first_lsn);
}

void forge_snapshot(struct forge *forge, const char *dir, uint64_t lsn)
{
    char name[WAL_NAME_BYTES];
    wal_snapshot_name(name, lsn);
    *forge = (struct forge){
        .fd = create(dir, name), .head = {.number = lsn}, .offset = WAL_PAGE_BYTES, .next = 1};
    memcpy(forge->head.uuid, forge_uuid, sizeof(forge->head.uuid));
}

void forge_any_block(struct forge *forge, const struct wal_block_header *header, const void *raw,
                     size_t raw_bytes)
{
    struct wal_block_header made = *header;
    bool is_snapshot = forge->head.epoch == 0;
    size_t room = (size_t)wal_block_bytes(raw_bytes);
    unsigned char *block = calloc(1, room);
    EXPECT(block != NULL, "calloc: %m");
    size_t bytes = wal_block_pack(block, &made, raw, raw_bytes);
    made.codec = header->codec != 0 ? header->codec : made.codec;
    made.raw_bytes = header->raw_bytes != 0 ? header->raw_bytes : made.raw_bytes;
    made.first_lsn = header->first_lsn != 0 ? header->first_lsn : forge->next;
    made.durable_lsn = header->durable_lsn != 0 ? header->durable_lsn : made.first_lsn - 1;
    made.durable_pages = header->durable_pages != 0 ? header->durable_pages
                         : is_snapshot              ? 1
                                                    : (uint32_t)(forge->offset / WAL_PAGE_BYTES);
    if ((made.count == 0) != (made.raw_bytes == 0)) {
        /* the writer's own function refuses this count: sign with another one, then correct it */
        uint32_t count = made.count;
        made.count = made.raw_bytes != 0;
        wal_block_sign(block, &made, wal_block_seed(&forge->head, forge->offset));
        put_le32(block + 24, count);
        uint64_t seed = wal_block_seed(&forge->head, forge->offset);
        put_le64(block + 56, wal_codec_checksum(block, 56, seed));
    } else {
        wal_block_sign(block, &made, wal_block_seed(&forge->head, forge->offset));
    }
    put(forge, block, bytes, forge->offset);
    free(block);
    forge->offset += bytes;
    forge->next = made.first_lsn + made.count;
}

void forge_block(struct forge *forge, uint16_t flags, uint32_t count, const void *raw,
                 size_t raw_bytes)
{
    const struct wal_block_header header = {.flags = flags, .count = count};
    forge_any_block(forge, &header, raw, raw_bytes);
}

void forge_seal(struct forge *forge)
{
    forge_block(forge, WAL_BLOCK_SEAL, 0, NULL, 0);
    EXPECT(ftruncate(forge->fd, (off_t)forge->offset) == 0, "ftruncate: %m");
    forge_close(forge);
}

void forge_snapshot_head(const struct forge *forge, uint64_t bytes, uint64_t images)
{
    unsigned char page[WAL_PAGE_BYTES] = "TALLYSNP";
    put_le32(page + 8, 1);
    memcpy(page + 16, forge->head.uuid, WAL_UUID_BYTES);
    put_le64(page + 32, forge->head.number);
    put_le64(page + 40, bytes);
    put_le64(page + 48, images);
    put_le64(page + 56, wal_codec_checksum(page, 56, 0));
    put(forge, page, sizeof(page), 0);
}

void forge_snapshot_end(struct forge *forge, bool seals, uint64_t images)
{
    if (seals) {
        forge_block(forge, WAL_BLOCK_SEAL | WAL_BLOCK_CLEAN, 0, NULL, 0);
    }
    forge_snapshot_head(forge, forge->offset, images);
    forge_close(forge);
}

void forge_close(struct forge *forge)
{
    close(forge->fd);
    forge->fd = -1;
}
