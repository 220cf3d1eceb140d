#include "domain/access/immutable.h"
#include <string.h>
#include "domain/name_pattern.h"
#include "util/bytes.h"
#include "util/glob.h"

/* The length of the part in front of the colon; that of the whole pattern if there is none. */
static size_t
find_colon(const char *pattern)
{
    const char *p = pattern;

    while (*p != '\0' && *p != ':') {
        const char *end = *p == '[' && p[1] != '\0' ? strchr(p + 2, ']') : NULL;

        if (end != NULL)
            p = end;
        else if (*p == '\\' && p[1] != '\0')
            p++;
        p++;
    }
    return (size_t)(p - pattern);
}

int
immutable_parse(const char *pattern, struct err *err)
{
    size_t n = find_colon(pattern);
    const char *tags = pattern[n] == ':' ? pattern + n + 1 : pattern;

    if (strlen(pattern) > GLOB_MAX)
        return err_set(err, ERR_BAD_REQUEST, "a pattern has at most %d bytes", GLOB_MAX);
    if (!glob_is_closed(bytes_str(pattern)))
        return err_set(err, ERR_BAD_REQUEST, "a ] is missing behind a [");
    if (tags[0] == '\0' || n == 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "must be a pattern of tags, such as v*, or of repositories and tags, such "
                       "as team/**:v*");
    if (tags != pattern && !name_pattern_fits_repository(bytes_of(pattern, n)))
        return err_set(err, ERR_BAD_REQUEST, "%.*s: " NAME_PATTERN_REPOSITORY, (int)n, pattern);
    if (!name_pattern_fits_tag(bytes_str(tags)))
        return err_set(err, ERR_BAD_REQUEST, "%s: " NAME_PATTERN_TAG, tags);
    return 0;
}

static bool
matches(const char *pattern, size_t n, const char *text)
{
    struct glob g;
    struct err ignored;

    return glob_compile(&g, bytes_of(pattern, n), &ignored) == 0 && glob_match(&g, bytes_str(text));
}

const char *
immutable_find(const struct registry *reg, const char *repository, const char *tag)
{
    for (size_t i = 0; i < reg->immutable_n; i++) {
        const char *pattern = reg->immutable[i];
        size_t n = find_colon(pattern);
        const char *tags = pattern[n] == ':' ? pattern + n + 1 : pattern;

        if (matches(tags, strlen(tags), tag) &&
            (tags == pattern || matches(pattern, n, repository)))
            return pattern;
    }
    return NULL;
}

int
immutable_check(const struct registry *reg, const struct actor *actor, const char *repository,
                const char *tag, const struct digest *target, struct err *err)
{
    const char *pattern = actor->forces ? NULL : immutable_find(reg, repository, tag);
    char text[DIGEST_TEXT_MAX];

    if (pattern == NULL)
        return 0;
    digest_text(text, target);
    return err_set(err, ERR_DENIED, "tag %s of %s is immutable (--immutable %s) and names %s", tag,
                   repository, pattern, text);
}
