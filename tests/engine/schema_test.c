/* The schema of records and images: encoder, decoder, tables and RECORDS.md have each field. */
#include "engine/log/columns.h"
#include "engine/log/image.h"
#include "engine/state/word.h"
#include "tests/lib/files.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROW_BYTES = 512 };

static const unsigned types[] = {
#define X(name, number, ...) number,
    RECORD_LIST(X)
#undef X
};

enum { TYPES = sizeof types / sizeof types[0] };

/* ---- encoded and decoded ---- */

/* A record in which each field has a value of its own. */
static struct record full_record(unsigned type)
{
    static const char *const texts[RECORD_TEXTS] = {"a", "bc", "def", "ghij", "klmno"};
    const struct record_schema *schema = record_schema(type);
    struct record record = {.type = (enum record_type)type, .lsn = 7, .time_ms = 1000};
    for (unsigned i = 0; i < schema->num_count; i++) {
        record.num[i] = 100 * type + i;
    }
    for (unsigned i = 0; i < schema->text_count; i++) {
        record.text[i] = span_of(texts[i]);
    }
    return record;
}

static int expect_same(void *arg, const struct record *record)
{
    const struct record *wanted = arg;
    cr_expect_eq(record->type, wanted->type);
    for (unsigned i = 0; i < RECORD_NUMS; i++) {
        cr_expect_eq(record->num[i], wanted->num[i], "%s: number %u",
                     record_type_name(wanted->type), i);
    }
    for (unsigned i = 0; i < RECORD_TEXTS; i++) {
        cr_expect(span_equal(record->text[i], wanted->text[i]), "%s: text %u",
                  record_type_name(wanted->type), i);
    }
    return 0;
}

Test(schema, each_type_is_encoded_and_decoded_with_all_its_fields)
{
    for (unsigned t = 0; t < TYPES; t++) {
        struct record record = full_record(types[t]);
        struct columns columns = {.count = 0};
        const unsigned char *block = NULL;
        size_t len = 0;
        columns_begin(&columns, record.time_ms);
        cr_assert_eq(columns_add(&columns, &record), 0);
        cr_assert_eq(columns_end(&columns, &block, &len), 0);
        cr_expect_eq(columns_decode(block, len, record.lsn, 1, expect_same, &record), 0);
        columns_fini(&columns);
    }
}

static int expect_same_image(void *arg, const struct image *image)
{
    const struct image *wanted = arg;
    cr_expect_eq(image->kind, wanted->kind);
    for (unsigned i = 0; i < IMAGE_NUMS; i++) {
        cr_expect_eq(image->num[i], wanted->num[i], "%s: number %u", image_kind_name(wanted->kind),
                     i);
    }
    for (unsigned i = 0; i < IMAGE_TEXTS; i++) {
        cr_expect(span_equal(image->text[i], wanted->text[i]), "%s: text %u",
                  image_kind_name(wanted->kind), i);
    }
    return 0;
}

Test(schema, each_image_is_encoded_and_decoded_with_all_its_fields)
{
    for (unsigned kind = 1; kind < IMAGE_KINDS; kind++) {
        struct image image = {.kind = (enum image_kind)kind};
        struct image_buf buf = {.at = NULL};
        for (unsigned i = 0; i < image_num_count(image.kind); i++) {
            image.num[i] = 100 * kind + i;
        }
        for (unsigned i = 0; i < image_text_count(image.kind); i++) {
            image.text[i] = span_of("text");
        }
        cr_assert_eq(image_put(&buf, &image), 0);
        cr_expect_eq(image_each(buf.at, buf.len, 1, expect_same_image, &image), 0);
        image_buf_fini(&buf);
    }
}

/* ---- the lists, and the tables made from them ---- */

Test(schema, a_build_step_is_what_has_a_transition_and_nothing_else_has)
{
    for (unsigned type = 0; type < 256; type++) {
        bool has = false;
        for (unsigned pair = 0; pair < BUILD_STATES * BUILD_STATES; pair++) {
            uint32_t before = status_make((enum build_state)(pair / BUILD_STATES), 5);
            for (uint32_t token = 5; token <= 6; token++) {
                uint32_t after = status_make((enum build_state)(pair % BUILD_STATES), token);
                has = has || word_transition_is_legal(type, before, after);
            }
        }
        cr_expect_eq(record_is_build_step(type), has, "type %u", type);
    }
}

Test(schema, class_and_domain_say_what_runs_beside_what)
{
    for (unsigned type = 0; type < 256; type++) {
        const struct record_schema *schema = record_schema(type);
        bool is_of_builds = schema != NULL && (schema->domain == RECORD_DOMAIN_BUILD ||
                                               schema->domain == RECORD_DOMAIN_WORKER);
        bool is_step = schema != NULL && schema->class == RECORD_CLASS_STEP;
        cr_expect_eq(record_is_of_builds(type), is_of_builds, "type %u", type);
        cr_expect_eq(record_is_build_step(type), is_step && type != RECORD_VOTE, "type %u", type);
        cr_expect_eq(record_is_step_with_text(type),
                     is_step && type != RECORD_VOTE && schema->text_count > 0, "type %u", type);
    }
}

/* ---- the page ---- */

/* Names of fields with blanks between, as a column of a table. */
struct names {
    char text[ROW_BYTES];
};

static void add_name(struct names *names, const char *name)
{
    size_t len = strlen(names->text);
    snprintf(names->text + len, sizeof names->text - len, " %s", name);
}

static char *page;
static unsigned rows;

static void open_page(void)
{
    page = files_read(RECORDS_PAGE, NULL);
    cr_assert_not_null(page, "no %s", RECORDS_PAGE);
    rows = 0;
}

static void expect_row(const char *row)
{
    cr_expect_not_null(strstr(page, row), "%s lacks\n%s", RECORDS_PAGE, row);
    rows++;
}

/* Every row of the page must belong to a type or kind that still exists. */
static void close_page(void)
{
    unsigned there = 0;
    for (const char *at = page; (at = strstr(at, "\n| ")) != NULL; at++) {
        there += at[3] >= '0' && at[3] <= '9';
    }
    cr_expect_eq(there, rows, "%u rows of types and kinds, not %u", there, rows);
    free(page);
}

static void expect_record_row(unsigned type)
{
    static const char *const classes[] = {"step", "ordered"};
    static const char *const domains[] = {"vote", "poll", "build", "worker"};
    const struct record_schema *schema = record_schema(type);
    struct names nums = {""};
    struct names texts = {""};
    char row[3 * ROW_BYTES];
    for (unsigned i = 0; i < schema->num_count; i++) {
        add_name(&nums, schema->nums[i].name);
    }
    for (unsigned i = 0; i < schema->text_count; i++) {
        add_name(&texts, schema->texts[i].name);
    }
    snprintf(row, sizeof row, "\n| %u | `%s` | %s | %s |%s |%s |\n", type, schema->name,
             classes[schema->class], domains[schema->domain], nums.text, texts.text);
    expect_row(row);
}

static void expect_image_row(unsigned number, const char *name, const struct names *nums,
                             const struct names *texts)
{
    char row[3 * ROW_BYTES];
    snprintf(row, sizeof row, "\n| %u | `%s` |%s |%s |\n", number, name, nums->text, texts->text);
    expect_row(row);
}

Test(schema, the_page_lists_each_type_and_each_kind_with_its_fields)
{
    open_page();
    for (unsigned t = 0; t < TYPES; t++) {
        expect_record_row(types[t]);
    }
#define NUM_NAME(index, name, ...)  add_name(&nums, name);
#define TEXT_NAME(index, name, ...) add_name(&texts, name);
#define X(kind, number)                                                                            \
    {                                                                                              \
        struct names nums = {""};                                                                  \
        struct names texts = {""};                                                                 \
        IMAGE_##kind##_NUMS(NUM_NAME) IMAGE_##kind##_TEXTS(TEXT_NAME)                              \
            expect_image_row(number, #kind, &nums, &texts);                                        \
    }
    IMAGE_LIST(X)
#undef X
    close_page();
}
