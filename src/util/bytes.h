#pragma once

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

/* Without the first n bytes; n is at most b.n. */
static inline struct bytes
bytes_after(struct bytes b, size_t n)
{
    return bytes_of((const char *)b.p + n, b.n - n);
}

/* As memcmp; a prefix comes before the longer text. */
static inline int
bytes_compare(struct bytes a, struct bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

/* The same for qsort and bsearch of struct bytes. */
static inline int
bytes_order(const void *a, const void *b)
{
    return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}
