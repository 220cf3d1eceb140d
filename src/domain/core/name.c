#include "domain/core/name.h"
#include "storage/tables/record.h"

static bool
is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* The length of the separator (within a component) at the beginning of s; 0 for none. */
static size_t
separator_length(const char *s)
{
    if (s[0] == '.')
        return 1;
    if (s[0] == '_')
        return s[1] == '_' ? 2 : 1;
    return strspn(s, "-");
}

bool
name_is_repository(const char *s)
{
    if (strlen(s) > RECORD_REPOSITORY_MAX)
        return false;
    for (;;) {
        if (!is_alnum(*s))
            return false;
        while (is_alnum(*s))
            s++;
        if (*s == '\0')
            return true;
        s += *s == '/' ? 1 : separator_length(s);
    }
}

bool
name_is_tag(const char *s)
{
    size_t n = strlen(s);

    if (n == 0 || n > RECORD_TAG_MAX || *s == '.' || *s == '-')
        return false;
    return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == n;
}
