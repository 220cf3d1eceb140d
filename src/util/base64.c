#include "util/base64.h"
#include <stdint.h>

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(char *out, struct bytes b)
{
    const uint8_t *p = b.p;
    uint32_t bits = 0;
    unsigned have = 0;

    for (size_t i = 0; i < b.n; i++) {
        bits = bits << 8 | p[i];
        for (have += 8; have >= 6; have -= 6)
            *out++ = base64_digits[bits >> (have - 6) & 63];
    }
    if (have > 0)
        *out++ = base64_digits[bits << (6 - have) & 63];
    *out = '\0';
}

/* Without the = with which a group of four is filled up. */
static struct bytes
cut_padding(struct bytes text)
{
    const char *p = text.p;

    if (text.n == 0 || text.n % 4 != 0 || p[text.n - 1] != '=')
        return text;
    text.n -= p[text.n - 2] == '=' ? 2 : 1;
    return text;
}

bool
base64_decode(void *out, size_t n, size_t *got, struct bytes text)
{
    uint8_t *to = out;
    uint32_t bits = 0;
    unsigned have = 0;
    const char *p;

    text = cut_padding(text);
    p = text.p;
    *got = 0;
    if (text.n % 4 == 1 || text.n / 4 * 3 + (text.n % 4 * 6) / 8 > n)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        const char *digit = memchr(base64_digits, p[i], sizeof base64_digits - 1);

        if (digit == NULL)
            return false;
        bits = bits << 6 | (uint32_t)(digit - base64_digits);
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        to[(*got)++] = (uint8_t)(bits >> have);
    }
    return true;
}
