#include "domain/name.h"

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

bool
name_split(const char *text, size_t n, char repository[RECORD_REPOSITORY_MAX + 1],
           char tag[RECORD_TAG_MAX + 1])
{
    const char *colon = memchr(text, ':', n);
    size_t name_n = colon != NULL ? (size_t)(colon - text) : n;
    size_t tag_n = colon != NULL ? n - name_n - 1 : 0;

    if (name_n > RECORD_REPOSITORY_MAX || tag_n > RECORD_TAG_MAX)
        return false;
    snprintf(repository, RECORD_REPOSITORY_MAX + 1, "%.*s", (int)name_n, text);
    snprintf(tag, RECORD_TAG_MAX + 1, "%.*s", (int)tag_n, text + n - tag_n);
    return name_is_repository(repository) && (colon == NULL || name_is_tag(tag));
}

const char *
name_short(const char *repository)
{
    size_t n = strlen(NAME_LIBRARY);

    return strncmp(repository, NAME_LIBRARY, n) == 0 ? repository + n : repository;
}
