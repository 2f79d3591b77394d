/* Compares the histogram with sorted arrays: every percentile is at most 0.8 % above the exact one.
 */
#include "bench/histogram.h"

#include <err.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define VALUES 100000u

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void must_be(const char *what, uint64_t got, uint64_t low, uint64_t high)
{
    if (got < low || got > high) {
        errx(EXIT_FAILURE, "%s: %" PRIu64 " is not within %" PRIu64 " to %" PRIu64, what, got, low,
             high);
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 11;
}

/* Values of every size: 53 random bits, cut to a random number of bits. */
static void check_against_sorted(struct histogram *h)
{
    static const double shares[] = {0.0, 0.001, 0.5, 0.9, 0.99, 0.999, 0.99999, 1.0};
    static uint64_t values[VALUES];
    uint64_t seed = 42;

    histogram_clear(h);
    for (size_t i = 0; i < VALUES; i++) {
        values[i] = next_random(&seed) >> (next_random(&seed) % 53);
        histogram_add(h, values[i], 1);
    }
    qsort(values, VALUES, sizeof *values, by_size);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        size_t rank = (size_t)ceil(shares[i] * VALUES);
        uint64_t exact = values[rank > 0 ? rank - 1 : 0];
        must_be("percentile of random values", histogram_at(h, shares[i]), exact,
                exact + exact / 127);
    }
    must_be("largest", h->max, values[VALUES - 1], values[VALUES - 1]);
}

int main(void)
{
    static struct histogram h;

    must_be("empty", histogram_at(&h, 0.99), 0, 0);

    histogram_add(&h, 7, 99);
    histogram_add(&h, UINT64_MAX, 1);
    must_be("99 of 100", histogram_at(&h, 0.99), 7, 7);
    must_be("the last one", histogram_at(&h, 1.0), UINT64_MAX, UINT64_MAX);
    must_be("count", h.count, 100, 100);

    /* Both sides of every power of two land in a bucket of their own size. */
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t edge = (uint64_t)1 << bit;
        for (uint64_t value = edge - 1; value <= edge; value++) {
            histogram_clear(&h);
            histogram_add(&h, value, 3);
            histogram_add(&h, UINT64_MAX, 1);
            must_be("edge", histogram_at(&h, 0.75), value, value + value / 128);
        }
    }
    check_against_sorted(&h);
    return EXIT_SUCCESS;
}
