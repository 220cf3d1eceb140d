#include "util/arena.h"
#include <stdalign.h>
#include <stdint.h>
#include "util/mem.h"

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

int
arena_full(struct err *err)
{
    return err_set(err, ERR_SYSTEM, "this request needs more memory than a request may have");
}

/* A zeroed block with room for n bytes. A block for a single large piece is put behind the first
 * block, whose free rest stays in use. */
static struct arena_block *
add_block(struct arena *a, size_t n)
{
    size_t size = n > BLOCK_SIZE ? n : BLOCK_SIZE;
    struct arena_block *block = mem_alloc(sizeof *block + size);
    struct arena_block **link = &a->blocks;

    block->size = size;
    if (n > BLOCK_SIZE && a->blocks != NULL)
        link = &a->blocks->next;
    block->next = *link;
    *link = block;
    return block;
}

void *
arena_alloc(struct arena *a, size_t n)
{
    const size_t step = alignof(max_align_t);
    struct arena_block *block = a->blocks;
    void *p;

    if (n > SIZE_MAX - sizeof *block - step)
        return NULL;
    /* An empty piece gets an address of its own, so that NULL always means failure. */
    n = n == 0 ? step : (n + step - 1) / step * step;
    if (n > a->max - a->used)
        return NULL;
    if (block == NULL || n > block->size - block->used)
        block = add_block(a, n);
    p = block->data + block->used;
    block->used += n;
    a->used += n;
    return p;
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
    if (size != 0 && n > SIZE_MAX / size)
        return NULL;
    return arena_alloc(a, n * size);
}

/* gcc's analyzer wrongly reports that the copy may overwrite the list of blocks. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
char *
arena_copy(struct arena *a, const void *p, size_t n)
{
    char *copy = n == SIZE_MAX ? NULL : arena_alloc(a, n + 1);

    if (copy != NULL && n > 0)
        memcpy(copy, p, n);
    return copy;
}
#pragma GCC diagnostic pop

char *
arena_strdup(struct arena *a, const char *s)
{
    return arena_copy(a, s, strlen(s));
}

char *
arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    char *text;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    text = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (text != NULL)
        vsnprintf(text, (size_t)n + 1, fmt, ap);
    return text;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return text;
}
