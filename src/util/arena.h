#pragma once

#include <stdarg.h>
#include <stddef.h>
#include "util/bytes.h"
#include "util/err.h"

/* The memory of one request: allocated piece by piece, freed all at once, and never more than `max`
 * bytes. The size of each piece is rounded up to the alignment, 16. Every function returns NULL
 * when the maximum would be passed, and for no other reason. */
struct arena {
    struct arena_block *blocks;
    size_t used;
    size_t max;
};

void arena_init(struct arena *a, size_t max);
/* Frees everything; the arena may be used again. */
void arena_reset(struct arena *a);

/* Reports that the arena's maximum was passed: fills *err with "this request needs more memory than
 * a request may have", and returns -1. For callers that got NULL from an arena. */
int arena_full(struct err *err);

/* Zeroed memory, aligned for any type. The product n * size is checked for overflow. */
void *arena_alloc(struct arena *a, size_t n);
void *arena_array(struct arena *a, size_t n, size_t size);
/* A NUL-terminated copy. */
char *arena_copy(struct arena *a, const void *p, size_t n);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
