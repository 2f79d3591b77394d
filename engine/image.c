/* Images to bytes and back. */
#include "engine/image.h"

#include "wal/base/bytes.h"
#include "wal/base/err.h"

#include <stdlib.h>

enum { FIRST_ROOM = 64 * 1024 };

const char *image_kind_name(unsigned kind)
{
    static const char *const names[IMAGE_KINDS] = {
#define X(name, number, nums, texts) [number] = #name,
        IMAGE_LIST(X)
#undef X
    };
    return kind < IMAGE_KINDS ? names[kind] : NULL;
}

void image_buf_fini(struct image_buf *buf)
{
    free(buf->at);
    *buf = (struct image_buf){.at = NULL};
}

static int reserve(struct image_buf *buf, size_t more)
{
    if (buf->room - buf->len >= more) {
        return 0;
    }
    size_t room = (buf->len + more) * 2 + FIRST_ROOM;
    unsigned char *at = realloc(buf->at, room);
    if (at == NULL) {
        return TALLY_NOMEM;
    }
    buf->at = at;
    buf->room = room;
    return 0;
}

static unsigned nums_used(const struct image *image)
{
    unsigned used = IMAGE_NUMS;
    while (used > 0 && image->num[used - 1] == 0) {
        used--;
    }
    return used;
}

static unsigned texts_used(const struct image *image)
{
    unsigned used = IMAGE_TEXTS;
    while (used > 0 && image->text[used - 1].len == 0) {
        used--;
    }
    return used;
}

int image_put(struct image_buf *buf, const struct image *image)
{
    unsigned nums = nums_used(image);
    unsigned texts = texts_used(image);
    size_t need = 1 + (size_t)(2 + nums + texts) * VARINT_BYTES_MAX;
    for (unsigned i = 0; i < texts; i++) {
        need += image->text[i].len;
    }
    if (reserve(buf, need) != 0) {
        return TALLY_NOMEM;
    }
    unsigned char *at = buf->at + buf->len;
    *at++ = (unsigned char)image->kind;
    at += put_varint(at, nums);
    for (unsigned i = 0; i < nums; i++) {
        at += put_varint(at, image->num[i]);
    }
    at += put_varint(at, texts);
    for (unsigned i = 0; i < texts; i++) {
        const struct span *text = &image->text[i];
        at += put_varint(at, text->len);
        if (text->len > 0) {
            memcpy(at, text->at, text->len);
            at += text->len;
        }
    }
    buf->len = (size_t)(at - buf->at);
    buf->count++;
    return 0;
}

struct cut {
    const unsigned char *at;
    const unsigned char *end;
};

static int take(struct cut *cut, uint64_t *v)
{
    return get_varint(&cut->at, cut->end, v) == 0 ? 0 : TALLY_CORRUPT;
}

static int take_text(struct cut *cut, struct span *text)
{
    uint64_t len = 0;
    if (take(cut, &len) != 0 || len > (uint64_t)(cut->end - cut->at)) {
        return TALLY_CORRUPT;
    }
    *text = (struct span){(const char *)cut->at, (size_t)len};
    cut->at += len;
    return 0;
}

static int take_image(struct cut *cut, struct image *image)
{
    uint64_t nums = 0;
    uint64_t texts = 0;
    *image = (struct image){.kind = IMAGE_NONE};
    if (cut->at == cut->end) {
        return TALLY_CORRUPT;
    }
    unsigned kind = *cut->at++;
    if (image_kind_name(kind) == NULL) {
        return TALLY_NEWER;
    }
    image->kind = (enum image_kind)kind;
    if (take(cut, &nums) != 0 || nums > IMAGE_NUMS) {
        return TALLY_CORRUPT;
    }
    for (unsigned i = 0; i < nums; i++) {
        if (take(cut, &image->num[i]) != 0) {
            return TALLY_CORRUPT;
        }
    }
    if (take(cut, &texts) != 0 || texts > IMAGE_TEXTS) {
        return TALLY_CORRUPT;
    }
    for (unsigned i = 0; i < texts; i++) {
        if (take_text(cut, &image->text[i]) != 0) {
            return TALLY_CORRUPT;
        }
    }
    return 0;
}

int image_each(const void *bytes, size_t len, uint32_t count,
               int (*fn)(void *arg, const struct image *image), void *arg)
{
    struct cut cut = {bytes, (const unsigned char *)bytes + len};
    for (uint32_t i = 0; i < count; i++) {
        struct image image;
        int err = take_image(&cut, &image);
        err = err != 0 ? err : fn(arg, &image);
        if (err != 0) {
            return err;
        }
    }
    return cut.at == cut.end ? 0 : TALLY_CORRUPT;
}
