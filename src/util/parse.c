#include "util/parse.h"

struct unit {
    char letter; /* NUL: the number has no unit */
    uint64_t factor;
};

bool
parse_u64(const char *s, size_t n, uint64_t *out)
{
    uint64_t v = 0;

    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        uint64_t digit;

        if (s[i] < '0' || s[i] > '9')
            return false;
        digit = (uint64_t)(s[i] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

static bool
parse_with_unit(const char *s, const struct unit *units, size_t units_n, uint64_t *out)
{
    size_t digits = strspn(s, "0123456789");
    uint64_t v;

    if (!parse_u64(s, digits, &v) || (s[digits] != '\0' && s[digits + 1] != '\0'))
        return false;
    for (size_t i = 0; i < units_n; i++) {
        if (units[i].letter == s[digits]) {
            if (v > UINT64_MAX / units[i].factor)
                return false;
            *out = v * units[i].factor;
            return true;
        }
    }
    return false;
}

bool
parse_duration_ms(const char *s, uint64_t *out)
{
    static const struct unit units[] = {
        {'\0', 1000}, {'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000},
    };

    return parse_with_unit(s, units, sizeof units / sizeof *units, out);
}

bool
parse_size(const char *s, uint64_t *out)
{
    static const struct unit units[] = {
        {'\0', 1},
        {'K', UINT64_C(1) << 10},
        {'M', UINT64_C(1) << 20},
        {'G', UINT64_C(1) << 30},
        {'T', UINT64_C(1) << 40},
        {'P', UINT64_C(1) << 50},
    };

    return parse_with_unit(s, units, sizeof units / sizeof *units, out);
}
