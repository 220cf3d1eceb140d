#include "domain/access/access_text.h"
#include <stdarg.h>
#include "domain/access/htpasswd.h"

static bool
is_word_end(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

bool
access_text_word(struct bytes *line, struct bytes *word)
{
    const char *p = line->p;
    size_t begin = 0, end;

    while (begin < line->n && is_word_end(p[begin]))
        begin++;
    for (end = begin; end < line->n && !is_word_end(p[end]);)
        end++;
    *word = bytes_of(p + begin, end - begin);
    *line = bytes_after(*line, end);
    return word->n > 0;
}

bool
access_text_next(struct access_text *t, struct bytes *line)
{
    while (t->rest.n > 0) {
        const char *end = memchr(t->rest.p, '\n', t->rest.n);
        size_t n = end != NULL ? (size_t)(end - (const char *)t->rest.p) : t->rest.n;
        struct bytes copy, word;

        *line = copy = bytes_of(t->rest.p, n);
        t->rest = bytes_after(t->rest, n + (end != NULL));
        t->line++;
        if (access_text_word(&copy, &word) && *(const char *)word.p != '#')
            return true;
    }
    return false;
}

int
access_text_refuse(const struct access_text *t, struct err *err, const char *fmt, ...)
{
    char text[ERR_MESSAGE_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(err, ERR_BAD_REQUEST, "%s:%u: %s", t->name, t->line, text);
}

int
access_text_check_user(const struct access_text *t, struct bytes word, struct err *err)
{
    struct err why;
    const char *p = word.p;

    if (htpasswd_check_name(word, &why) != 0)
        return access_text_refuse(t, err, ACCESS_WORD " is no user: %s", ACCESS_WORD_ARGS(word),
                                  why.message);
    for (size_t i = 0; i < word.n; i++) {
        if (p[i] == ',')
            return access_text_refuse(t, err, ACCESS_WORD " is no user: leave out the comma",
                                      ACCESS_WORD_ARGS(word));
        if (strchr("*?{}", p[i]) != NULL)
            return access_text_refuse(t, err,
                                      ACCESS_WORD " is no user: users are named without wildcards",
                                      ACCESS_WORD_ARGS(word));
    }
    return 0;
}
