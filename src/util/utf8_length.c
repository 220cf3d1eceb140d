#include "util/utf8_length.h"

#include <stddef.h>

/* RFC 3629, section 4. By the first byte of a character: the lowest and highest second byte, and
 * the character's length in bytes. */
static const struct {
    unsigned char first, last, low, high;
    size_t n;
} kinds[] = {
    {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

size_t
utf8_length(const void *text, size_t left)
{
    const unsigned char *p = text;

    for (size_t k = 0; left > 0 && k < sizeof kinds / sizeof *kinds; k++) {
        size_t n = kinds[k].n;

        if (*p < kinds[k].first || *p > kinds[k].last)
            continue;
        if (n > left)
            return 0;
        if (n > 1 && (p[1] < kinds[k].low || p[1] > kinds[k].high))
            return 0;
        for (size_t i = 2; i < n; i++)
            if ((p[i] & 0xc0) != 0x80)
                return 0;
        return n;
    }
    return 0;
}
