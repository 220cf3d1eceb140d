#include "protocol/path.h"

#include <stdbool.h>
#include <string.h>

#include "util/banned.h"

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

size_t
path_unescape(char *s, size_t n, int plus)
{
    size_t out = 0;

    for (size_t i = 0; i < n; i++) {
        if (s[i] == '+' && plus) {
            s[out++] = ' ';
        } else if (s[i] == '%') {
            int high = i + 2 < n ? hex_digit(s[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(s[i + 2]) : -1;

            if (low < 0)
                return (size_t)-1;
            s[out++] = (char)(high * 16 + low);
            i += 2;
        } else {
            s[out++] = s[i];
        }
    }
    return out;
}

static bool
is_plain(const char *s, size_t n)
{
    if ((n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f || s[i] == '/' || s[i] == '\\')
            return false;
    return true;
}

/* Is the rest of nginx's path this segment, and then a slash or the end? Moves on behind it. */
static bool
agrees(const char **nginx_path, const char *segment, size_t n, bool last)
{
    if (strncmp(*nginx_path, segment, n) != 0 || (*nginx_path)[n] != (last ? '\0' : '/'))
        return false;
    *nginx_path += n + (last ? 0 : 1);
    return true;
}

static int
bad(struct err *err, const char *what)
{
    return err_set(err, ERR_BAD_REQUEST, "the path %s", what);
}

int
path_parse(struct path *p, const char *raw, const char *nginx_path, struct arena *arena,
           struct err *err)
{
    p->n = 0;
    if (raw[0] != '/' || nginx_path[0] != '/')
        return bad(err, "doesn't begin with a slash");
    raw++;
    nginx_path++;
    for (;;) {
        size_t length = strcspn(raw, "/");
        bool last = raw[length] == '\0';
        char *segment = arena_copy(arena, raw, length);
        size_t n;

        if (segment == NULL)
            return err_set(err, ERR_SYSTEM, "no memory for a path");
        if (p->n == PATH_SEGMENTS_MAX)
            return bad(err, "has too many segments");
        if (length == 0 && !last)
            return bad(err, "has an empty segment");
        n = path_unescape(segment, length, 0);
        if (n == (size_t)-1)
            return bad(err, "has a bad escape");
        if (!is_plain(segment, n))
            return bad(err, "has a segment that can't be part of a name");
        if (!agrees(&nginx_path, segment, n, last))
            return bad(err, "is ambiguous");
        segment[n] = '\0';
        p->segments[p->n++] = segment;
        if (last)
            return 0;
        raw += length + 1;
    }
}
