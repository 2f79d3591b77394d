/* The example of wal/FORMAT.md, made by the code and compared byte by byte. */
#include "wal/format/block.h"
#include "wal/format/member.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The second file of the page is listed with 3000 added to its offsets. */
#define EXAMPLE_BYTES (6U * WAL_PAGE_BYTES)

/* Reads "    00001000  54 42 ... " with 16 bytes. Returns whether the line is one. */
static bool parse_line(const char *line, unsigned long *at, unsigned char bytes[16])
{
    char *end;
    if (strncmp(line, "    0000", 8) != 0) {
        return false;
    }
    *at = strtoul(line, &end, 16);
    for (int i = 0; i < 16; i++) {
        const char *from = end;
        bytes[i] = (unsigned char)strtoul(from, &end, 16);
        if (end == from) {
            return false;
        }
    }
    return *at + 16 <= EXAMPLE_BYTES;
}

/* Compares the fields that the page gives in words. */
static void make_example(unsigned char *file)
{
    struct wal_segment_head head = {.number = 1, .bytes = 65536, .epoch = 1};
    for (int i = 0; i < WAL_UUID_BYTES; i++) {
        head.uuid[i] = (unsigned char)(0xa0 + i);
    }
    wal_segment_head_put(file, &head);

    struct wal_block_header block = {.first_lsn = 1, .durable_pages = 1, .count = 2};
    cr_assert_eq(wal_block_pack(file + 4096, &block, "first recordsecond record", 25), 4096);
    wal_block_sign(file + 4096, &block, wal_block_seed(&head, 4096));

    struct wal_block_header end = {.first_lsn = 3,
                                   .durable_lsn = 2,
                                   .durable_pages = 2,
                                   .flags = WAL_BLOCK_CLEAN | WAL_BLOCK_SEAL};
    cr_assert_eq(wal_block_pack(file + 8192, &end, NULL, 0), 4096);
    wal_block_sign(file + 8192, &end, wal_block_seed(&head, 8192));
}

/* The same records in two blocks, packed. */
static void make_packed(unsigned char *file)
{
    struct wal_segment_head head = {.number = 1, .bytes = 12288, .epoch = 1};
    for (int i = 0; i < WAL_UUID_BYTES; i++) {
        head.uuid[i] = (unsigned char)(0xa0 + i);
    }
    wal_segment_head_put(file, &head);

    unsigned char raw[64];
    size_t len = wal_member_head_put(raw, 1, 12);
    memcpy(raw + len, "first record", 12);
    len += 12;
    len += wal_member_head_put(raw + len, 1, 13);
    memcpy(raw + len, "second record", 13);
    len += 13;
    struct wal_block_header block = {
        .first_lsn = 1, .durable_pages = 1, .count = 2, .flags = WAL_BLOCK_PACKED};
    cr_assert_eq(wal_block_pack_hard(file + 4096, &block, raw, len), 4096);
    wal_block_sign(file + 4096, &block, wal_block_seed(&head, 4096));

    struct wal_block_header end = {.first_lsn = 3,
                                   .durable_lsn = 2,
                                   .durable_pages = 2,
                                   .flags = WAL_BLOCK_CLEAN | WAL_BLOCK_SEAL | WAL_BLOCK_PACKED};
    cr_assert_eq(wal_block_pack(file + 8192, &end, NULL, 0), 4096);
    wal_block_sign(file + 8192, &end, wal_block_seed(&head, 8192));
}

Test(wal_format, the_example_is_what_the_code_writes)
{
    static unsigned char file[EXAMPLE_BYTES];
    char line[256];
    unsigned lines = 0;
    make_example(file);
    make_packed(file + EXAMPLE_BYTES / 2);
    FILE *page = fopen(WAL_FORMAT_PAGE, "r");
    cr_assert_not_null(page, "%s", WAL_FORMAT_PAGE);
    while (fgets(line, sizeof(line), page) != NULL) {
        unsigned long at;
        unsigned char bytes[16];
        if (parse_line(line, &at, bytes)) {
            cr_expect(memcmp(file + at, bytes, 16) == 0, "differs: %s", line);
            lines++;
        }
    }
    fclose(page);
    cr_expect_eq(lines, 8 + 6 + 4 + 4 + 6 + 4);
}
