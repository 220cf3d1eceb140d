#include "util/kvfile.h"
#include "util/mem.h"

#include <limits.h>
#include <stdlib.h>
#include "util/banned.h"

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Returns s without the blanks around it, ended with a NUL in place. */
static char *
trim(char *s)
{
    while (is_blank(*s)) {
        s++;
    }
    size_t n = strlen(s);
    while (n > 0 && is_blank(s[n - 1])) {
        n--;
    }
    s[n] = '\0';
    return s;
}

static int
parse_kv_line(char *text, int line,
              int (*fn)(const char *name, const char *value, int line, void *arg, struct err *err),
              void *arg, struct err *err)
{
    if (text[0] == '#') {
        return 0;
    }
    char *name = trim(text);
    if (name[0] == '\0') {
        return 0;
    }
    char *value = strchr(name, '=');
    if (value != NULL) {
        *value = '\0';
        value = trim(value + 1);
        name = trim(name);
    }
    if (name[0] == '\0') {
        return err_set(err, ERR_BAD_REQUEST, "line %d: no name before the =", line);
    }
    return fn(name, value, line, arg, err);
}

int
kvfile_each(struct bytes text,
            int (*fn)(const char *name, const char *value, int line, void *arg, struct err *err),
            void *arg, struct err *err)
{
    const char *at = text.p;
    size_t left = text.n;
    for (int line = 1; left > 0; line++) {
        const char *newline = memchr(at, '\n', left);
        size_t n = newline != NULL ? (size_t)(newline - at) : left;
        if (memchr(at, '\0', n) != NULL) {
            return err_set(err, ERR_BAD_REQUEST, "line %d: a NUL byte", line);
        }
        char *copy = mem_copy(at, n);
        int r = parse_kv_line(copy, line, fn, arg, err);
        free(copy);
        if (r != 0) {
            return r;
        }
        n += newline != NULL;
        at += n;
        left -= n;
    }
    return 0;
}
