/* The files of the simulated disk: pages, cached and durable, shared between copies of a disk. */
#include "tests/crash/disk_file.h"

#include "wal/base/check.h"

#include <stdlib.h>
#include <string.h>

static const unsigned char zeros[DISK_PAGE_BYTES];

static const unsigned char *bytes_of(const struct disk_page *page)
{
    return page != NULL ? page->bytes : zeros;
}

static bool is_zero(const unsigned char *bytes)
{
    return memcmp(bytes, zeros, DISK_PAGE_BYTES) == 0;
}

static struct disk_page *page_new(const unsigned char *bytes)
{
    struct disk_page *page = malloc(sizeof(*page));
    CHECK(page != NULL);
    page->refs = 1;
    memcpy(page->bytes, bytes, DISK_PAGE_BYTES);
    return page;
}

static struct disk_page *page_ref(struct disk_page *page)
{
    if (page != NULL) {
        page->refs++;
    }
    return page;
}

static void page_unref(struct disk_page *page)
{
    if (page != NULL && --page->refs == 0) {
        free(page);
    }
}

static void page_set(struct disk_page **at, struct disk_page *page)
{
    page_unref(*at);
    *at = page;
}

/* Makes *at a page with these bytes. */
static void page_put(struct disk_page **at, const unsigned char *bytes)
{
    page_set(at, is_zero(bytes) ? NULL : page_new(bytes));
}

struct disk_file *disk_file_new(void)
{
    struct disk_file *file = calloc(1, sizeof(*file));
    CHECK(file != NULL);
    file->refs = 1;
    return file;
}

struct disk_file *disk_file_copy(const struct disk_file *file)
{
    struct disk_file *copy = disk_file_new();
    size_t refs = copy->refs;
    *copy = *file;
    copy->refs = (unsigned)refs;
    copy->slots = malloc((file->count + 1) * sizeof(*copy->slots));
    CHECK(copy->slots != NULL);
    for (size_t i = 0; i < file->count; i++) {
        copy->slots[i] = file->slots[i];
        page_ref(copy->slots[i].durable);
        page_ref(copy->slots[i].cached);
        page_ref(copy->slots[i].older);
    }
    return copy;
}

struct disk_file *disk_file_ref(struct disk_file *file)
{
    if (file != NULL) {
        file->refs++;
    }
    return file;
}

static void slots_cut(struct disk_file *file, size_t count)
{
    while (file->count > count) {
        struct disk_slot *slot = &file->slots[--file->count];
        page_unref(slot->durable);
        page_unref(slot->cached);
        page_unref(slot->older);
    }
}

void disk_file_unref(struct disk_file *file)
{
    if (file == NULL || --file->refs > 0) {
        return;
    }
    slots_cut(file, 0);
    free(file->slots);
    free(file);
}

static void slots_grow(struct disk_file *file, uint64_t size)
{
    size_t count = (size_t)((size + DISK_PAGE_BYTES - 1) / DISK_PAGE_BYTES);
    if (count <= file->count) {
        return;
    }
    file->slots = realloc(file->slots, count * sizeof(*file->slots));
    CHECK(file->slots != NULL);
    memset(file->slots + file->count, 0, (count - file->count) * sizeof(*file->slots));
    file->count = count;
}

static void slot_write(struct disk_slot *slot, const unsigned char *from, size_t len, size_t at)
{
    unsigned char bytes[DISK_PAGE_BYTES];
    size_t first = at / DISK_SECTOR_BYTES;
    size_t last = (at + len - 1) / DISK_SECTOR_BYTES;
    uint8_t touched = 0;
    for (size_t i = first; i <= last; i++) {
        touched |= (uint8_t)(1U << i);
    }
    if ((slot->dirty & touched) != 0) {
        page_set(&slot->older, page_ref(slot->cached));
        slot->older_dirty = slot->dirty;
    }
    slot->dirty |= touched;
    if (len == DISK_PAGE_BYTES) {
        page_put(&slot->cached, from);
        return;
    }
    memcpy(bytes, bytes_of(slot->cached), sizeof(bytes));
    memcpy(bytes + at, from, len);
    page_put(&slot->cached, bytes);
}

void disk_file_write(struct disk_file *file, const void *from, size_t len, uint64_t offset)
{
    const unsigned char *bytes = from;
    slots_grow(file, offset + len);
    if (offset + len > file->size) {
        file->size = offset + len;
    }
    while (len > 0) {
        size_t at = (size_t)(offset % DISK_PAGE_BYTES);
        size_t now = DISK_PAGE_BYTES - at < len ? DISK_PAGE_BYTES - at : len;
        slot_write(&file->slots[offset / DISK_PAGE_BYTES], bytes, now, at);
        bytes += now;
        offset += now;
        len -= now;
    }
}

size_t disk_file_read(const struct disk_file *file, void *into, size_t len, uint64_t offset)
{
    unsigned char *bytes = into;
    size_t left = offset >= file->size        ? 0
                  : file->size - offset < len ? (size_t)(file->size - offset)
                                              : len;
    size_t done = left;
    while (left > 0) {
        size_t at = (size_t)(offset % DISK_PAGE_BYTES);
        size_t now = DISK_PAGE_BYTES - at < left ? DISK_PAGE_BYTES - at : left;
        memcpy(bytes, bytes_of(file->slots[offset / DISK_PAGE_BYTES].cached) + at, now);
        bytes += now;
        offset += now;
        left -= now;
    }
    return done;
}

/* The durable pages stay until the length is durable. A program reads zeros behind its end. */
void disk_file_truncate(struct disk_file *file, uint64_t len)
{
    slots_grow(file, len);
    for (size_t i = 0; i < file->count; i++) {
        uint64_t begin = (uint64_t)i * DISK_PAGE_BYTES;
        if (begin + DISK_PAGE_BYTES > len && file->slots[i].cached != NULL) {
            unsigned char bytes[DISK_PAGE_BYTES] = {0};
            size_t keep = begin < len ? (size_t)(len - begin) : 0;
            memcpy(bytes, file->slots[i].cached->bytes, keep);
            page_put(&file->slots[i].cached, bytes);
        }
    }
    file->size = len;
}

static void slot_clean(struct disk_slot *slot)
{
    page_set(&slot->older, NULL);
    slot->dirty = 0;
    slot->older_dirty = 0;
}

void disk_file_sync(struct disk_file *file)
{
    for (size_t i = 0; i < file->count; i++) {
        struct disk_slot *slot = &file->slots[i];
        bool is_behind = (uint64_t)i * DISK_PAGE_BYTES >= file->size;
        if (slot->dirty == 0xff || is_behind) {
            page_set(&slot->durable, page_ref(slot->cached));
        } else if (slot->dirty != 0) {
            unsigned char bytes[DISK_PAGE_BYTES];
            memcpy(bytes, bytes_of(slot->durable), sizeof(bytes));
            for (unsigned s = 0; s < DISK_PAGE_SECTORS; s++) {
                if ((slot->dirty >> s & 1) != 0) {
                    size_t at = (size_t)s * DISK_SECTOR_BYTES;
                    memcpy(bytes + at, bytes_of(slot->cached) + at, DISK_SECTOR_BYTES);
                }
            }
            page_put(&slot->durable, bytes);
        }
        slot_clean(slot);
    }
    file->size_durable = file->size;
}

void disk_file_forget(struct disk_file *file, struct seed *seed)
{
    for (size_t i = 0; i < file->count; i++) {
        struct disk_slot *slot = &file->slots[i];
        unsigned char bytes[DISK_PAGE_BYTES];
        memcpy(bytes, bytes_of(slot->durable), sizeof(bytes));
        uint8_t written = slot->dirty & (uint8_t)(seed_next(seed) & seed_next(seed));
        for (unsigned s = 0; s < DISK_PAGE_SECTORS; s++) {
            if ((written >> s & 1) != 0) {
                size_t at = (size_t)s * DISK_SECTOR_BYTES;
                memcpy(bytes + at, bytes_of(slot->cached) + at, DISK_SECTOR_BYTES);
            }
        }
        if (written != 0) {
            page_put(&slot->durable, bytes);
        }
        slot_clean(slot);
    }
    file->size_durable = file->size; /* the length is in the journal, not in a page */
}

void disk_file_drop_cache(struct disk_file *file)
{
    for (size_t i = 0; i < file->count; i++) {
        struct disk_slot *slot = &file->slots[i];
        if (slot->dirty == 0) {
            page_set(&slot->cached, page_ref(slot->durable));
        }
    }
}

bool disk_fate_keeps(struct disk_fate *fate)
{
    unsigned item = fate->item++;
    switch (fate->choice.loss) {
    case DISK_LOSE_ALL:
        return false;
    case DISK_KEEP_ALL:
    case DISK_LOSE_NONE:
        return true;
    case DISK_LOSE_MASK:
        return item < 64 && (fate->choice.number >> item & 1) != 0;
    case DISK_LOSE_RANDOM:
        break;
    }
    return seed_below(&fate->seed, 8) < fate->keep_of_8;
}

static bool sector_differs(const struct disk_slot *slot, unsigned s)
{
    size_t at = (size_t)s * DISK_SECTOR_BYTES;
    return slot->cached != slot->durable &&
           memcmp(bytes_of(slot->cached) + at, bytes_of(slot->durable) + at, DISK_SECTOR_BYTES) !=
               0;
}

/* Only a sector that makes a difference is an item: zeros over zeros are the same kept and lost. */
void disk_file_count(const struct disk_file *file, unsigned *items)
{
    *items += file->size != file->size_durable;
    for (size_t i = 0; i < file->count; i++) {
        const struct disk_slot *slot = &file->slots[i];
        for (unsigned s = 0; slot->dirty != 0 && s < DISK_PAGE_SECTORS; s++) {
            *items += (slot->dirty >> s & 1) != 0 && sector_differs(slot, s);
        }
    }
}

/* Garbage, or the contents of another sector of the file, as of a buffer not filled yet. */
static void garble(const struct disk_file *file, struct disk_fate *fate, unsigned char *sector)
{
    seed_fill(seed_next(&fate->seed), sector, DISK_SECTOR_BYTES);
    if (seed_below(&fate->seed, 2) == 0) {
        const struct disk_slot *slot = &file->slots[seed_below(&fate->seed, file->count)];
        memcpy(sector, bytes_of(slot->durable), DISK_SECTOR_BYTES);
    }
}

/* Puts into `sector`, which has the durable bytes, what a crash leaves of the dirty ones. */
static void sector_crash(const struct disk_file *file, const struct disk_slot *slot, unsigned s,
                         struct disk_fate *fate, unsigned char *sector)
{
    size_t at = (size_t)s * DISK_SECTOR_BYTES;
    const unsigned char *written = bytes_of(slot->cached) + at;
    bool is_random = fate->choice.loss == DISK_LOSE_RANDOM;
    if (!is_random && !sector_differs(slot, s)) {
        return;
    }
    if (is_random && (slot->older_dirty >> s & 1) != 0 && seed_below(&fate->seed, 4) == 0) {
        written = bytes_of(slot->older) + at;
    }
    unsigned strange = is_random ? (unsigned)seed_below(&fate->seed, 16) : 16;
    if (strange == 0 && (fate->habits & DISK_GARBLES) != 0) {
        garble(file, fate, sector);
    } else if (strange == 1 && (fate->habits & DISK_TEARS) != 0) {
        size_t half = seed_below(&fate->seed, 2) * (DISK_SECTOR_BYTES / 2);
        memcpy(sector + half, written + half, DISK_SECTOR_BYTES / 2);
    } else if (disk_fate_keeps(fate)) {
        memcpy(sector, written, DISK_SECTOR_BYTES);
    } else if (is_random && strange < 6 && (fate->habits & DISK_SIZE_FIRST) != 0) {
        garble(file, fate, sector);
    }
}

static void slot_crash(const struct disk_file *file, struct disk_slot *slot, struct disk_fate *fate)
{
    unsigned char bytes[DISK_PAGE_BYTES];
    memcpy(bytes, bytes_of(slot->durable), sizeof(bytes));
    for (unsigned s = 0; s < DISK_PAGE_SECTORS; s++) {
        if ((slot->dirty >> s & 1) != 0) {
            sector_crash(file, slot, s, fate, bytes + (size_t)s * DISK_SECTOR_BYTES);
        }
    }
    page_put(&slot->durable, bytes);
}

/* The length after the crash. */
static uint64_t size_crash(const struct disk_file *file, struct disk_fate *fate)
{
    bool grows = file->size > file->size_durable;
    if (file->size == file->size_durable) {
        return file->size;
    }
    bool keeps = disk_fate_keeps(fate);
    if (grows && (keeps || (fate->habits & DISK_SIZE_FIRST) != 0)) {
        return file->size;
    }
    if (grows && fate->choice.loss == DISK_LOSE_RANDOM && seed_below(&fate->seed, 2) == 0) {
        uint64_t more = (file->size - file->size_durable) / DISK_SECTOR_BYTES;
        return file->size_durable + seed_below(&fate->seed, more + 1) * DISK_SECTOR_BYTES;
    }
    return keeps ? file->size : file->size_durable;
}

void disk_file_crash(struct disk_file *file, struct disk_fate *fate)
{
    uint64_t size = size_crash(file, fate);
    for (size_t i = 0; i < file->count; i++) {
        struct disk_slot *slot = &file->slots[i];
        if (slot->dirty != 0) {
            slot_crash(file, slot, fate);
        }
        slot_clean(slot);
        page_set(&slot->cached, page_ref(slot->durable));
    }
    slots_grow(file, size);
    disk_file_truncate(file, size);
    slots_cut(file, (size_t)((size + DISK_PAGE_BYTES - 1) / DISK_PAGE_BYTES));
    for (size_t i = 0; i < file->count; i++) {
        page_set(&file->slots[i].durable, page_ref(file->slots[i].cached));
    }
    file->size_durable = size;
}
