#include "util/hex.h"
#include <stdint.h>

void
hex_encode(char *out, const void *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = p;

    for (size_t i = 0; i < n; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}

int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static int
lower_hex_value(char c)
{
    return c >= 'A' && c <= 'F' ? -1 : hex_value(c);
}

bool
hex_decode(void *out, size_t n, const char *hex, size_t hex_n)
{
    uint8_t *bytes = out;

    if (hex_n % 2 != 0 || hex_n / 2 != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = lower_hex_value(hex[2 * i]), low = lower_hex_value(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
