#include "util/kvfile.h"
#include "util/mem.h"

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Removes the blanks around s in place. */
static char *
trim_blanks(char *s)
{
    size_t n;

    while (is_blank(*s))
        s++;
    n = strlen(s);
    while (n > 0 && is_blank(s[n - 1]))
        n--;
    s[n] = '\0';
    return s;
}

static int
parse_kv_line(char *text, int line,
              int (*fn)(const char *name, const char *value, int line, void *arg, struct err *err),
              void *arg, struct err *err)
{
    char *name, *value;

    if (text[0] == '#')
        return 0;
    name = trim_blanks(text);
    if (name[0] == '\0')
        return 0;
    value = strchr(name, '=');
    if (value != NULL) {
        *value = '\0';
        value = trim_blanks(value + 1);
        name = trim_blanks(name);
    }
    if (name[0] == '\0')
        return err_set(err, ERR_BAD_REQUEST, "line %d: no name before the =", line);
    return fn(name, value, line, arg, err);
}

int
kvfile_each(struct bytes text,
            int (*fn)(const char *name, const char *value, int line, void *arg, struct err *err),
            void *arg, struct err *err)
{
    const char *at = text.p;
    size_t left = text.n;
    int rc = 0;

    for (int line = 1; rc == 0 && left > 0; line++) {
        const char *newline = memchr(at, '\n', left);
        size_t n = newline != NULL ? (size_t)(newline - at) : left;
        char *copy;

        if (memchr(at, '\0', n) != NULL)
            return err_set(err, ERR_BAD_REQUEST, "line %d: a NUL byte", line);
        copy = mem_copy(at, n);
        rc = parse_kv_line(copy, line, fn, arg, err);
        free(copy);
        n += newline != NULL;
        at += n;
        left -= n;
    }
    return rc;
}
