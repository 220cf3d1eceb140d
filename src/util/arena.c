#include "util/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "util/banned.h"

#define BLOCK_SIZE 8192

struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
    alignas(max_align_t) unsigned char data[];
};

void
arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

void
arena_reset(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *block = a->blocks;
        a->blocks = block->next;
        free(block);
    }
    a->used = 0;
}

/* A block with room for n bytes, zeroed. One that is made to measure goes behind the first, whose
 * rest stays in use. */
static struct arena_block *
add_block(struct arena *a, size_t n)
{
    size_t size = n > BLOCK_SIZE ? n : BLOCK_SIZE;
    if (size > SIZE_MAX - sizeof(struct arena_block)) {
        return NULL;
    }
    struct arena_block *block = calloc(1, sizeof *block + size);
    if (block == NULL) {
        return NULL;
    }
    block->size = size;
    struct arena_block **link = &a->blocks;
    if (n > BLOCK_SIZE && a->blocks != NULL) {
        link = &a->blocks->next;
    }
    block->next = *link;
    *link = block;
    return block;
}

void *
arena_alloc(struct arena *a, size_t n)
{
    const size_t step = alignof(max_align_t);
    if (n > SIZE_MAX - step) {
        return NULL;
    }
    /* Nothing gets a place of its own too, so that NULL always means failure. */
    n = n == 0 ? step : (n + step - 1) / step * step;
    if (n > a->max - a->used) {
        return NULL;
    }
    struct arena_block *block = a->blocks;
    if (block == NULL || n > block->size - block->used) {
        block = add_block(a, n);
        if (block == NULL) {
            return NULL;
        }
    }
    void *p = block->data + block->used;
    block->used += n;
    a->used += n;
    return p;
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
    if (size != 0 && n > SIZE_MAX / size) {
        return NULL;
    }
    return arena_alloc(a, n * size);
}

/* gcc's analyzer believes that the copying may overwrite the list of blocks. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
char *
arena_copy(struct arena *a, const void *p, size_t n)
{
    if (n == SIZE_MAX) {
        return NULL;
    }
    char *copy = arena_alloc(a, n + 1);
    if (copy != NULL && n > 0) {
        memcpy(copy, p, n);
    }
    return copy;
}
#pragma GCC diagnostic pop

char *
arena_strdup(struct arena *a, const char *s)
{
    return arena_copy(a, s, strlen(s));
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *text = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (text != NULL) {
        va_start(ap, fmt);
        vsnprintf(text, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    return text;
}
