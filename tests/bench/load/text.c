/* Growing bytes, and what else everybody needs. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <openssl/evp.h>
#include "load.h"

_Noreturn void __attribute__((format(printf, 1, 2))) fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void
text_room(struct text *t, size_t n)
{
    if (t->cap - t->len >= n)
        return;
    t->cap = (t->len + n) * 2 < 4096 ? 4096 : (t->len + n) * 2;
    t->at = realloc(t->at, t->cap);
    if (t->at == NULL)
        fail("no memory");
}

void
text_add(struct text *t, const void *bytes, size_t n)
{
    text_room(t, n + 1);
    memcpy(t->at + t->len, bytes, n);
    t->len += n;
    t->at[t->len] = '\0';
}

void __attribute__((format(printf, 2, 3))) text_addf(struct text *t, const char *format, ...)
{
    char line[4096];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(line))
        fail("a line is too long");
    text_add(t, line, (size_t)n);
}

void
text_from_file(struct text *t, const char *name)
{
    char piece[65536];
    size_t n;
    FILE *in = fopen(name, "rb");

    if (in == NULL)
        fail("%s: %s", name, strerror(errno));
    while ((n = fread(piece, 1, sizeof(piece), in)) > 0)
        text_add(t, piece, n);
    fclose(in);
}

void
sha256_hex(char *hex, const void *bytes, size_t n)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len;

    if (!EVP_Digest(bytes, n, sum, &len, EVP_sha256(), NULL))
        fail("no SHA-256");
    for (unsigned i = 0; i < len; i++)
        sprintf(hex + 2 * i, "%02x", sum[i]);
}
