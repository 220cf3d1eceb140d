#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "util/bytes.h"

/* A byte buffer that grows up to a maximum, which its owner names. The failure is sticky: once the
 * maximum was passed, the buffer stays failed. So callers append as much as they like, then ask
 * buf_ok once. The bytes are always followed by a NUL that is not counted, so buf_text() is a C
 * string unless a NUL was appended. */
struct buf {
    char *p;
    size_t n;
    size_t room;
    size_t max;
    bool failed;
};

/* max: the most bytes that the buffer may ever hold. Allocates nothing. */
void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);
/* Empties the buffer and clears its failure, but keeps the memory. */
void buf_reset(struct buf *b);

/* p may not point into b. */
void buf_put(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_putf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Room for n more bytes, which the caller fills; NULL (and the buffer is failed) if they pass the
 * maximum. */
void *buf_extend(struct buf *b, size_t n);
/* Cuts the buffer to n bytes; n is at most b->n. */
void buf_cut(struct buf *b, size_t n);

bool buf_ok(const struct buf *b);
const char *buf_text(const struct buf *b);
struct bytes buf_bytes(const struct buf *b);
