#include "protocol/range.h"

#include <string.h>
#include <strings.h>

#include "util/parse.h"
#include "util/banned.h"

static size_t
digits(const char *s)
{
    return strspn(s, "0123456789");
}

bool
range_is_unsatisfiable(const char *range, uint64_t size)
{
    uint64_t first, last;
    size_t n;

    if (strncasecmp(range, "bytes=", 6) != 0)
        return false;
    range += 6;
    n = digits(range);
    if (n == 0) { /* "-N": the last N bytes */
        if (range[0] != '-' || digits(range + 1) == 0 || range[1 + digits(range + 1)] != '\0')
            return false;
        return size == 0 || (parse_u64(range + 1, digits(range + 1), &last) && last == 0);
    }
    if (range[n] != '-' || range[n + 1 + digits(range + n + 1)] != '\0')
        return false;
    if (!parse_u64(range, n, &first))
        return true; /* well-formed, and beyond any file */
    if (digits(range + n + 1) > 0 && parse_u64(range + n + 1, digits(range + n + 1), &last) &&
        last < first)
        return false; /* not a range at all: ignored */
    return first >= size;
}

bool
range_parse_content(const char *text, uint64_t *first, uint64_t *last)
{
    size_t n;

    if (strncasecmp(text, "bytes", 5) == 0) {
        text += 5;
        if (*text != ' ' && *text != '=')
            return false;
        text++;
    }
    n = digits(text);
    if (!parse_u64(text, n, first) || text[n] != '-')
        return false;
    text += n + 1;
    n = digits(text);
    if (!parse_u64(text, n, last) || *last < *first)
        return false;
    text += n;
    if (text[0] == '\0')
        return true;
    if (text[0] != '/')
        return false;
    text++;
    return strcmp(text, "*") == 0 || (digits(text) > 0 && text[digits(text)] == '\0');
}
