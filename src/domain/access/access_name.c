#include "domain/access/access_name.h"

uint8_t
access_name_symbol(char c)
{
    if (c >= 'a' && c <= 'z')
        return (uint8_t)(c - 'a');
    if (c >= '0' && c <= '9')
        return (uint8_t)(26 + c - '0');
    switch (c) {
    case '.':
        return 36;
    case '_':
        return 37;
    case '-':
        return 38;
    case '/':
        return ACCESS_NAME_SLASH;
    default:
        return ACCESS_NAME_OTHER;
    }
}

static void
add_place(struct access_places *set, size_t i)
{
    set->word[i / 64] |= UINT64_C(1) << (i % 64);
}

bool
access_name_set(struct access_name *name, const char *repository)
{
    size_t n = strnlen(repository, RECORD_REPOSITORY_MAX + 1);

    if (n > RECORD_REPOSITORY_MAX)
        return false;
    memset(name->at, 0, sizeof name->at);
    name->parts = (struct access_places){{0}};
    name->n = n;
    name->words = n / 64 + 1;
    name->symbol[0] = name->symbol[n + 1] = ACCESS_NAME_SLASH;
    for (size_t i = 0; i < n; i++) {
        uint8_t symbol = access_name_symbol(repository[i]);

        name->symbol[i + 1] = symbol;
        if (symbol != ACCESS_NAME_OTHER)
            add_place(&name->at[symbol], i);
        if (symbol != ACCESS_NAME_SLASH)
            add_place(&name->parts, i);
    }
    return true;
}

uint32_t
access_name_slot(const uint8_t symbols[3], unsigned bits)
{
    uint32_t triple = ((uint32_t)symbols[0] * (ACCESS_NAME_SYMBOLS + 1) + symbols[1]) *
                          (ACCESS_NAME_SYMBOLS + 1) +
                      symbols[2];

    return (triple * UINT32_C(2654435761)) >> (32 - bits);
}

size_t
access_name_slots(const struct access_name *name, unsigned bits,
                  uint32_t slots[ACCESS_NAME_SLOTS_MAX])
{
    for (size_t i = 0; i < name->n; i++)
        slots[i] = access_name_slot(name->symbol + i, bits);
    return name->n;
}
