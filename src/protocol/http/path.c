#include "protocol/http/path.h"
#include <stdbool.h>
#include "util/arena.h"
#include "util/hex.h"

size_t
path_unescape(char *s, size_t n, int plus)
{
    size_t out = 0;

    for (size_t i = 0; i < n; i++) {
        if (s[i] == '+' && plus) {
            s[out++] = ' ';
        } else if (s[i] == '%') {
            int high = i + 2 < n ? hex_value(s[i + 1]) : -1;
            int low = high >= 0 ? hex_value(s[i + 2]) : -1;

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

static bool
is_one_of(const char *s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(s, words[i]) == 0)
            return true;
    return false;
}

/* Does the path lead into an image behind these segments? The first _image counts, because it can't
 * be part of a repository's name. */
static bool
leads_inside(const struct path *p)
{
    static const char *const words[] = {"tree", "blobs", "stat", "archive"};
    const char *last = p->segments[p->n - 1];
    size_t at = 2;

    if (p->n == 4 && strcmp(p->segments[0], "v1") == 0 && strcmp(p->segments[1], "images") == 0)
        return is_one_of(last, words, 2);
    if (strcmp(p->segments[0], "v2") != 0)
        return false;
    while (at < p->n && strcmp(p->segments[at], "_image") != 0)
        at++;
    if (p->n == at + 3)
        return is_one_of(last, words, sizeof words / sizeof words[0]);
    return p->n == at + 5 && strcmp(p->segments[at + 2], "layers") == 0 &&
           strcmp(last, "tree") == 0;
}

/* Does the rest of nginx's path begin with this segment, and then a slash or the end? Moves on
 * behind it. */
static bool
agrees(const char **nginx_path, const char *segment, size_t n, bool last)
{
    if (strncmp(*nginx_path, segment, n) != 0 || (*nginx_path)[n] != (last ? '\0' : '/'))
        return false;
    *nginx_path += n + (last ? 0 : 1);
    return true;
}

static int
bad_path(struct err *err, const char *what)
{
    return err_set(err, ERR_BAD_REQUEST, "the path %s", what);
}

static int
parse_rest(struct path *p, const char *raw, struct arena *arena, struct err *err)
{
    size_t n = strlen(raw);
    char *rest = arena_copy(arena, raw, n);

    if (rest == NULL)
        return arena_full(err);
    n = path_unescape(rest, n, 0);
    if (n == (size_t)-1)
        return bad_path(err, "has a bad escape");
    if (memchr(rest, '\0', n) != NULL)
        return bad_path(err, "has a NUL");
    p->inside = true;
    p->rest = bytes_of(rest, n);
    return 0;
}

int
path_parse(struct path *p, const char *raw, const char *nginx_path, struct arena *arena,
           struct err *err)
{
    *p = (struct path){.n = 0};
    if (raw[0] != '/' || nginx_path[0] != '/')
        return bad_path(err, "doesn't begin with a slash");
    raw++;
    nginx_path++;
    for (;;) {
        size_t length = strcspn(raw, "/");
        bool last = raw[length] == '\0';
        char *segment = arena_copy(arena, raw, length);
        size_t n;

        if (segment == NULL)
            return arena_full(err);
        if (p->n == PATH_SEGMENTS_MAX)
            return bad_path(err, "has too many segments");
        if (length == 0 && !last)
            return bad_path(err, "has an empty segment");
        n = path_unescape(segment, length, 0);
        if (n == (size_t)-1)
            return bad_path(err, "has a bad escape");
        if (!is_plain(segment, n))
            return bad_path(err, "has a segment that can't be part of a name");
        if (!agrees(&nginx_path, segment, n, last))
            return bad_path(err, "is ambiguous");
        segment[n] = '\0';
        p->segments[p->n++] = segment;
        if (leads_inside(p))
            return parse_rest(p, raw + length, arena, err);
        if (last)
            return 0;
        raw += length + 1;
    }
}
