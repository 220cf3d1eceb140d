#ifndef UTIL_BYTES_H
#define UTIL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A run of bytes that is owned by something else. */
struct bytes {
    const void *p;
    size_t n;
};

static inline struct bytes
bytes_of(const void *p, size_t n)
{
    return (struct bytes){p, n};
}

static inline struct bytes
bytes_str(const char *s)
{
    return (struct bytes){s, strlen(s)};
}

static inline bool
bytes_equal(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool
bytes_start_with(struct bytes a, struct bytes prefix)
{
    return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

#endif
