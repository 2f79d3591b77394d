/* The allocators of the C library, wrapped (--wrap) so that a test can let them fail. */
#include "tests/crash/allocations.h"

#include <stddef.h>

void *__real_malloc(size_t len);
void *__real_calloc(size_t count, size_t len);
void *__real_realloc(void *old, size_t len);
void *__real_aligned_alloc(size_t align, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t count, size_t len);
void *__wrap_realloc(void *old, size_t len);
void *__wrap_aligned_alloc(size_t align, size_t len);

void *__wrap_malloc(size_t len)
{
    return allocation_fails() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t count, size_t len)
{
    return allocation_fails() ? NULL : __real_calloc(count, len);
}

void *__wrap_realloc(void *old, size_t len)
{
    return allocation_fails() ? NULL : __real_realloc(old, len);
}

void *__wrap_aligned_alloc(size_t align, size_t len)
{
    return allocation_fails() ? NULL : __real_aligned_alloc(align, len);
}
