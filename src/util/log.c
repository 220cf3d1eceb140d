#include "util/log.h"
#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#define LINE_SIZE 2000
/* Leaves room for the end of a line that is cut: a quote and the newline. */
#define LINE_ROOM (LINE_SIZE - 2)

struct line {
    char p[LINE_SIZE];
    size_t n;
    bool full;
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static enum log_level most = LOG_INFO;

bool
log_level_parse(const char *s, enum log_level *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(s, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void
log_set_level(enum log_level level)
{
    most = level;
}

/* Adds all n bytes or none, so that no escape is cut. The line is full once something didn't fit.
 */
static void
put_line(struct line *l, const char *s, size_t n)
{
    if (l->full || n > LINE_ROOM - l->n) {
        l->full = true;
        return;
    }
    memcpy(l->p + l->n, s, n);
    l->n += n;
}

/* Adds as much of the text as fits. */
static void
put_line_text(struct line *l, const char *s)
{
    for (; *s != '\0' && !l->full; s++)
        put_line(l, s, 1);
}

static void
put_quoted(struct line *l, const char *s, size_t n)
{
    bool opened;

    put_line(l, "\"", 1);
    opened = !l->full;
    for (size_t i = 0; i < n && !l->full; i++) {
        unsigned char c = (unsigned char)s[i];
        char escape[5];

        if (c == '"' || c == '\\') {
            put_line(l, (char[]){'\\', (char)c}, 2);
        } else if (c == '\n') {
            put_line(l, "\\n", 2);
        } else if (c < 0x20 || c > 0x7e) {
            snprintf(escape, sizeof escape, "\\x%02x", c);
            put_line(l, escape, 4);
        } else {
            put_line(l, s + i, 1);
        }
    }
    if (opened) {
        l->p[l->n++] = '"'; /* LINE_ROOM leaves room for it */
        l->full = l->full || l->n >= LINE_ROOM;
    }
}

static void
put_value(struct line *l, const char *s, size_t n)
{
    bool quote = n == 0;

    for (size_t i = 0; i < n && !quote; i++)
        quote = s[i] <= 0x20 || s[i] > 0x7e || s[i] == '"' || s[i] == '=' || s[i] == '\\';
    if (quote) {
        put_quoted(l, s, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        put_line(l, s + i, 1);
}

/* Formats the conversion f, the text behind a %, and returns the text behind the conversion; NULL
 * for an unknown conversion: then this argument and the later ones can't be read. */
static const char *
put_conversion(struct line *value, const char *f, va_list *ap)
{
    char text[32];
    const char *end = f + 1;

    if (*f == 's') {
        const char *s = va_arg(*ap, const char *);

        put_line_text(value, s != NULL ? s : "(null)");
        return end;
    } else if (*f == 'c') {
        char c = (char)va_arg(*ap, int);

        put_line(value, &c, 1);
        return end;
    } else if (*f == 'd') {
        snprintf(text, sizeof text, "%d", va_arg(*ap, int));
    } else if (*f == 'u') {
        snprintf(text, sizeof text, "%u", va_arg(*ap, unsigned));
    } else if (strncmp(f, "ld", 2) == 0) {
        snprintf(text, sizeof text, "%ld", va_arg(*ap, long));
        end = f + 2;
    } else if (strncmp(f, "lu", 2) == 0) {
        snprintf(text, sizeof text, "%lu", va_arg(*ap, unsigned long));
        end = f + 2;
    } else if (strncmp(f, "lld", 3) == 0) {
        snprintf(text, sizeof text, "%lld", va_arg(*ap, long long));
        end = f + 3;
    } else if (strncmp(f, "llu", 3) == 0) {
        snprintf(text, sizeof text, "%llu", va_arg(*ap, unsigned long long));
        end = f + 3;
    } else if (strncmp(f, "zu", 2) == 0) {
        snprintf(text, sizeof text, "%zu", va_arg(*ap, size_t));
        end = f + 2;
    } else {
        return NULL;
    }
    put_line_text(value, text);
    return end;
}

/* Formats a whole value before it is quoted: one argument of "key=%s/%s" may need quotes around all
 * of it. */
static void
put_fields(struct line *l, const char *f, va_list *ap)
{
    while (f != NULL && *f != '\0') {
        struct line value = {.n = 0};
        size_t key = strcspn(f, "= ");

        put_line(l, f, key);
        f += key;
        if (*f == ' ') {
            put_line(l, f++, 1);
        } else if (*f == '=') {
            put_line(l, f++, 1);
            while (f != NULL && *f != '\0' && *f != ' ')
                if (*f == '%')
                    f = put_conversion(&value, f + 1, ap);
                else
                    put_line(&value, f++, 1);
            put_value(l, value.p, value.n);
        }
    }
}

void
log_line(enum log_level level, const char *msg, const char *fields, ...)
{
    struct line l = {.n = 0};
    int saved = errno;
    va_list ap;

    if (level > most)
        return;
    put_line_text(&l, "level=");
    put_line_text(&l, level_names[level]);
    put_line_text(&l, " msg=");
    put_quoted(&l, msg, strlen(msg));
    if (fields != NULL && *fields != '\0') {
        put_line(&l, " ", 1);
        va_start(ap, fields);
        put_fields(&l, fields, &ap);
        va_end(ap);
    }
    l.p[l.n++] = '\n';
    while (write(STDERR_FILENO, l.p, l.n) < 0 && errno == EINTR)
        ;
    errno = saved;
}
