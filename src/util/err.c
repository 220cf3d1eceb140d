#include "util/err.h"
#include <errno.h>
#include <stdarg.h>
#include "util/utf8.h"

/* text isn't e->message: the arguments of a message may point into that. */
static void
fill_err(struct err *e, enum err_code code, int sys, const char *text)
{
    e->code = code;
    e->sys = sys;
    snprintf(e->message, sizeof e->message, "%s", text);
    utf8_keep_ascii(e->message);
    e->about = NULL;
    e->about_n = 0;
    e->expected[0] = e->found[0] = '\0';
}

int
err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    char text[ERR_MESSAGE_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fill_err(e, code, 0, text);
    return -1;
}

int
err_set_utf8(struct err *e, enum err_code code, const char *text)
{
    size_t n = strlen(text);

    if (n >= sizeof e->message) {
        n = sizeof e->message - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
    }
    fill_err(e, code, 0, "");
    memcpy(e->message, text, n);
    e->message[utf8_make_plain(e->message, n)] = '\0';
    return -1;
}

enum err_code
err_code_of(int sys)
{
    switch (sys) {
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case EIO:
    case EROFS:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOLCK:
        return ERR_FAULT;
    default:
        return ERR_SYSTEM;
    }
}

int
err_errno(struct err *e, const char *fmt, ...)
{
    int sys = errno;
    const char *reason = strerror(sys);
    size_t reason_n = strlen(reason) + 2, at;
    char text[ERR_MESSAGE_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);

    /* When both don't fit, the reason matters more than the end of a long name. */
    at = strlen(text);
    if (reason_n < sizeof text) {
        if (at > sizeof text - 1 - reason_n)
            at = sizeof text - 1 - reason_n;
        snprintf(text + at, sizeof text - at, ": %s", reason);
    }
    fill_err(e, err_code_of(sys), sys, text);
    errno = sys;
    return -1;
}

__attribute__((format(printf, 2, 0))) static void
format_fact(char out[ERR_FACT_MAX], const char *fmt, va_list ap)
{
    vsnprintf(out, ERR_FACT_MAX, fmt, ap);
    utf8_keep_ascii(out);
}

int
err_expected(struct err *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    format_fact(e->expected, fmt, ap);
    va_end(ap);
    return -1;
}

int
err_found(struct err *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    format_fact(e->found, fmt, ap);
    va_end(ap);
    return -1;
}
