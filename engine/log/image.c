/* Encodes and decodes images. */
#include "engine/log/image.h"

#include "engine/log/row.h"
#include "wal/base/check.h"

#include <stdlib.h>

static const struct {
    const char *name;
    unsigned num_count;
    unsigned text_count;
} kinds[IMAGE_KINDS] = {
#define X(name, number) [number] = {#name, IMAGE_##name##_NUM_COUNT, IMAGE_##name##_TEXT_COUNT},
    IMAGE_LIST(X)
#undef X
};

const char *image_kind_name(unsigned kind)
{
    return kind < IMAGE_KINDS ? kinds[kind].name : NULL;
}

unsigned image_num_count(enum image_kind kind)
{
    DCHECK((unsigned)kind < IMAGE_KINDS);
    return kinds[kind].num_count;
}

unsigned image_text_count(enum image_kind kind)
{
    DCHECK((unsigned)kind < IMAGE_KINDS);
    return kinds[kind].text_count;
}

void image_buf_fini(struct image_buf *buf)
{
    free(buf->at);
    *buf = (struct image_buf){.at = NULL};
}

uint32_t image_voter_places(const struct image *image, uint32_t places[BALLOT_OPTIONS_MAX])
{
    const unsigned char *at = (const unsigned char *)image->text[IVOTER_MORE].at;
    const unsigned char *end = at + image->text[IVOTER_MORE].len;
    uint32_t count = 0;
    uint64_t place = image->num[IVOTER_PLACE];
    for (;;) {
        for (uint32_t i = 0; i < count; i++) {
            if (places[i] == place) {
                return 0;
            }
        }
        if (place >= POLL_OPTIONS_MAX || count == BALLOT_OPTIONS_MAX) {
            return 0;
        }
        places[count++] = (uint32_t)place;
        if (at == end) {
            return count;
        }
        if (get_varint(&at, end, &place) != 0) {
            return 0;
        }
    }
}

int image_put(struct image_buf *buf, const struct image *image)
{
    size_t need = 1 + row_bytes_max(IMAGE_NUMS, image->text, IMAGE_TEXTS);
    if (row_bytes_reserve(&buf->at, &buf->capacity, buf->len, need) != 0) {
        return TALLY_NOMEM;
    }
    DCHECK(image_kind_name(image->kind) != NULL && buf->capacity - buf->len >= need);
    buf->at[buf->len++] = (unsigned char)image->kind;
    buf->len += row_put(buf->at + buf->len, image->num, IMAGE_NUMS, image->text, IMAGE_TEXTS);
    buf->count++;
    return 0;
}

static int take_image(struct cursor *in, struct image *image)
{
    if (in->at == in->end) {
        return TALLY_CORRUPT;
    }
    unsigned kind = *in->at++;
    if (image_kind_name(kind) == NULL) {
        return TALLY_NEWER;
    }
    image->kind = (enum image_kind)kind;
    return row_cursor_row(in, image->num, IMAGE_NUMS, image->text, IMAGE_TEXTS);
}

int image_each(const void *bytes, size_t len, uint32_t count,
               int (*fn)(void *arg, const struct image *image), void *arg)
{
    struct cursor in = {bytes, (const unsigned char *)bytes + len};
    for (uint32_t i = 0; i < count; i++) {
        struct image image;
        int err = take_image(&in, &image);
        err = err != 0 ? err : fn(arg, &image);
        if (err != 0) {
            return err;
        }
    }
    return in.at == in.end ? 0 : TALLY_CORRUPT;
}
