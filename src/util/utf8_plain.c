#include "util/utf8_plain.h"

static const struct {
    unsigned first, last;
} not_plain[] = {
    {0x00, 0x1f},     {0x7f, 0x9f},       {0xad, 0xad},       {0x34f, 0x34f},     {0x61c, 0x61c},
    {0x115f, 0x1160}, {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200f},   {0x2028, 0x202e},
    {0x2060, 0x206f}, {0x3164, 0x3164},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},
    {0xfff0, 0xfffb}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

unsigned
utf8_plain_number(const void *character, size_t n)
{
    const unsigned char *p = character;
    unsigned number = n == 1 ? p[0] : p[0] & (0x7fu >> n);

    for (size_t i = 1; i < n; i++)
        number = number << 6 | (p[i] & 0x3fu);
    return number;
}

bool
utf8_plain(const void *character, size_t n)
{
    unsigned number = utf8_plain_number(character, n);

    for (size_t i = 0; i < sizeof not_plain / sizeof *not_plain; i++)
        if (number >= not_plain[i].first && number <= not_plain[i].last)
            return false;
    return true;
}
