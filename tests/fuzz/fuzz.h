#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For all fuzz_*.c. Each checks one parser of foreign bytes against its contract, with inputs from
 * libFuzzer (--enable-fuzzing, with clang) or, by replay.c, from files. */

/* One input. Returns 0, or ends the program when the parser broke its promise. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MUST(promise)                                                          \
    do {                                                                       \
        if (!(promise)) {                                                      \
            fprintf(stderr, "%s:%d: not: %s\n", __FILE__, __LINE__, #promise); \
            abort();                                                           \
        }                                                                      \
    } while (0)

/* A text of its own, so that a sanitizer sees a byte too far. To be freed. */
static inline char *
fuzz_text(const void *data, size_t n)
{
    char *text = malloc(n + 1);
    MUST(text != NULL);
    if (n > 0)
        memcpy(text, data, n);
    text[n] = '\0';
    return text;
}

/* Cuts off the first line: returns it (to be freed), and *data and *n are what is behind it. */
static inline char *
fuzz_line(const uint8_t **data, size_t *n)
{
    const uint8_t *end = *n > 0 ? memchr(*data, '\n', *n) : NULL;
    size_t length = end != NULL ? (size_t)(end - *data) : *n;
    char *line = fuzz_text(*data, length);
    if (end != NULL)
        length++;
    *data += length;
    *n -= length;
    return line;
}
