#include "protocol/http/range.h"
#include <strings.h>
#include "util/parse.h"

static size_t
count_digits(const char *s)
{
    return strspn(s, "0123456789");
}

/* "-N", the last N bytes. n: the length of the text. */
static enum range_kind
judge_suffix(const char *range, size_t length, uint64_t size)
{
    size_t n = count_digits(range + 1);
    uint64_t last;

    if (n == 0 || 1 + n != length)
        return RANGE_IGNORED;
    if (size == 0 || (parse_u64(range + 1, n, &last) && last == 0))
        return RANGE_UNSATISFIABLE;
    return RANGE_GOOD;
}

static enum range_kind
judge_one(const char *range, size_t length, uint64_t size)
{
    uint64_t first, last;
    size_t n, m;

    if (range[0] == '-')
        return judge_suffix(range, length, size);
    n = count_digits(range);
    if (n == 0 || range[n] != '-')
        return RANGE_IGNORED;
    m = count_digits(range + n + 1);
    if (n + 1 + m != length)
        return RANGE_IGNORED;
    /* A number that overflows is behind the end of any file. */
    if (!parse_u64(range, n, &first))
        return RANGE_UNSATISFIABLE;
    /* nginx can't count beyond this. */
    if (m > 0 && (!parse_u64(range + n + 1, m, &last) || last > INT64_MAX))
        return RANGE_IGNORED;
    if (first >= size)
        return RANGE_UNSATISFIABLE;
    return m > 0 && last < first ? RANGE_BACKWARDS : RANGE_GOOD;
}

enum range_kind
range_judge(const char *range, uint64_t size)
{
    enum range_kind kind = RANGE_IGNORED;
    size_t n = 0, length, good = 0;

    if (strncasecmp(range, "bytes=", 6) != 0)
        return RANGE_IGNORED;
    range += 6;
    if (strchr(range, ',') == NULL)
        return judge_one(range, strlen(range), size);
    for (;; range += length + 1) {
        range += strspn(range, " ");
        length = strcspn(range, ",");
        kind = judge_one(range, length, size);
        if (kind == RANGE_IGNORED || kind == RANGE_BACKWARDS || ++n > RANGE_SEVERAL_MAX)
            return RANGE_IGNORED;
        good += kind == RANGE_GOOD;
        if (range[length] == '\0')
            return good > 0 ? RANGE_SEVERAL : RANGE_UNSATISFIABLE;
    }
}

void
range_take(const char *range, uint64_t size, uint64_t *from, uint64_t *n)
{
    uint64_t last = size - 1, suffix = size;
    const char *p = range + strlen("bytes=");
    size_t at = count_digits(p);

    if (at == 0) { /* the last N bytes */
        (void)parse_u64(p + 1, count_digits(p + 1), &suffix);
        *n = suffix < size ? suffix : size;
        *from = size - *n;
        return;
    }
    (void)parse_u64(p, at, from);
    (void)parse_u64(p + at + 1, count_digits(p + at + 1), &last);
    *n = (last < size ? last : size - 1) - *from + 1;
}

bool
range_parse_content(const char *text, uint64_t *first, uint64_t *last)
{
    uint64_t total;
    size_t n;

    if (strncasecmp(text, "bytes", 5) == 0) {
        text += 5;
        if (*text != ' ' && *text != '=')
            return false;
        text++;
    }
    n = count_digits(text);
    if (!parse_u64(text, n, first) || text[n] != '-')
        return false;
    text += n + 1;
    n = count_digits(text);
    if (!parse_u64(text, n, last) || *last < *first)
        return false;
    text += n;
    if (text[0] == '\0')
        return true;
    if (text[0] != '/')
        return false;
    text++;
    if (strcmp(text, "*") == 0)
        return true;
    n = count_digits(text);
    return text[n] == '\0' && parse_u64(text, n, &total) && total > *last;
}
