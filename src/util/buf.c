#include "util/buf.h"
#include <stdarg.h>
#include <stdint.h>
#include "util/mem.h"

void
buf_init(struct buf *b, size_t max)
{
    /* At most SIZE_MAX - 1, since a NUL follows the bytes. */
    *b = (struct buf){.max = max < SIZE_MAX ? max : SIZE_MAX - 1};
}

void
buf_free(struct buf *b)
{
    free(b->p);
    buf_init(b, b->max);
}

void
buf_reset(struct buf *b)
{
    b->failed = false;
    buf_cut(b, 0);
}

/* Makes room for n more bytes and the NUL. False (and failed) when that passes the maximum. */
static bool
make_room_for(struct buf *b, size_t n)
{
    if (b->failed || n > b->max - b->n) {
        b->failed = true;
        return false;
    }
    b->p = mem_grow(b->p, &b->room, b->n + n + 1, 1);
    return true;
}

void *
buf_extend(struct buf *b, size_t n)
{
    char *at;

    if (!make_room_for(b, n))
        return NULL;
    at = b->p + b->n;
    b->n += n;
    b->p[b->n] = '\0';
    return at;
}

void
buf_cut(struct buf *b, size_t n)
{
    b->n = n;
    if (b->p != NULL)
        b->p[n] = '\0';
}

void
buf_put(struct buf *b, const void *p, size_t n)
{
    void *at = buf_extend(b, n);

    if (at != NULL && n > 0)
        memcpy(at, p, n);
}

void
buf_puts(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s));
}

void
buf_putc(struct buf *b, char c)
{
    buf_put(b, &c, 1);
}

void
buf_putf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !make_room_for(b, (size_t)n)) {
        b->failed = true;
        return;
    }
    va_start(ap, fmt);
    vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
}

bool
buf_ok(const struct buf *b)
{
    return !b->failed;
}

const char *
buf_text(const struct buf *b)
{
    return b->p != NULL ? b->p : "";
}

struct bytes
buf_bytes(const struct buf *b)
{
    return bytes_of(buf_text(b), b->n);
}
