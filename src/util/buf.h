#ifndef UTIL_BUF_H
#define UTIL_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include "util/bytes.h"

/* A byte buffer that grows up to a maximum which its owner names. Passing the maximum is a failure
 * that sticks: put as much as you like, then ask buf_ok once. The bytes are always followed by a
 * NUL that doesn't count, so buf_text() is a C string when no NUL was put. */
struct buf {
    char *p;
    size_t n;
    size_t room;
    size_t max;
    bool failed;
};

/* max: the most bytes it may ever hold. Allocates nothing. */
void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);
/* Empties it, keeps the memory, forgets a failure. */
void buf_reset(struct buf *b);

/* p may not point into b. */
void buf_put(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_putf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* n bytes to be written by the caller at the returned place, or NULL (and failed). */
void *buf_extend(struct buf *b, size_t n);
/* Cuts it to n bytes; n is at most b->n. */
void buf_cut(struct buf *b, size_t n);

bool buf_ok(const struct buf *b);
const char *buf_text(const struct buf *b);
struct bytes buf_bytes(const struct buf *b);

#endif
