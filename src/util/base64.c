#include "util/base64.h"

#define DIGITS_62 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static const char base64_digits[] = DIGITS_62 "+/";
static const char url_digits[] = DIGITS_62 "-_";

static void
encode_with(char *out, const char *digits, struct bytes b)
{
    const uint8_t *p = b.p;
    uint32_t bits = 0;
    unsigned have = 0;

    for (size_t i = 0; i < b.n; i++) {
        bits = bits << 8 | p[i];
        for (have += 8; have >= 6; have -= 6)
            *out++ = digits[bits >> (have - 6) & 63];
    }
    if (have > 0)
        *out++ = digits[bits << (6 - have) & 63];
    *out = '\0';
}

/* out has room for BASE64_BYTES(text.n) bytes. *left: the bits behind the last byte. */
static bool
decode_with(uint8_t *out, const char *digits, size_t *got, uint32_t *left, struct bytes text)
{
    const char *p = text.p;
    uint32_t bits = 0;
    unsigned have = 0;

    *got = 0;
    if (text.n % 4 == 1)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        const char *digit = memchr(digits, p[i], 64);

        if (digit == NULL)
            return false;
        bits = bits << 6 | (uint32_t)(digit - digits);
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        out[(*got)++] = (uint8_t)(bits >> have);
    }
    *left = bits & ((1u << have) - 1);
    return true;
}

void
base64_encode(char *out, struct bytes b)
{
    encode_with(out, base64_digits, b);
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
    uint32_t left;

    text = cut_padding(text);
    *got = 0;
    return text.n / 4 * 3 + (text.n % 4 * 6) / 8 <= n &&
           decode_with(out, base64_digits, got, &left, text);
}

void
base64_encode_url(char *out, struct bytes b)
{
    encode_with(out, url_digits, b);
}

bool
base64_decode_url(uint8_t *out, size_t *got, struct bytes text)
{
    uint32_t left;

    return decode_with(out, url_digits, got, &left, text) && left == 0;
}
