#include "util/utf8.h"
#include <stddef.h>
#include "util/utf8_plain.h"

void
utf8_keep_ascii(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < 0x20 || *text > 0x7e)
            *text = '?';
}

void
utf8_mend(char *text)
{
    unsigned char *p = (unsigned char *)text;
    size_t left = strlen(text);

    while (left > 0) {
        size_t n = utf8_length(p, left);

        if (n == 0)
            *p = '?';
        n = n == 0 ? 1 : n;
        p += n;
        left -= n;
    }
}

size_t
utf8_make_plain(char *text, size_t n)
{
    size_t to = 0;

    for (size_t from = 0, step; from < n; from += step) {
        size_t length;

        step = 1;
        if ((text[from] >= ' ' && text[from] < 0x7f) || text[from] == '\t') {
            text[to++] = text[from];
            continue;
        }
        length = utf8_length(text + from, n - from);
        step = length > 0 ? length : 1;
        if (length == 0 || !utf8_plain(text + from, length)) {
            text[to++] = '?';
        } else {
            memmove(text + to, text + from, length);
            to += length;
        }
    }
    return to;
}

bool
utf8_put_json(struct buf *out, struct bytes b)
{
    const unsigned char *p = b.p;
    bool good = true;

    buf_putc(out, '"');
    for (size_t at = 0; at < b.n;) {
        size_t plain = at, n;

        while (plain < b.n && p[plain] >= ' ' && p[plain] < 0x7f && p[plain] != '"' &&
               p[plain] != '\\')
            plain++;
        buf_put(out, p + at, plain - at);
        at = plain;
        if (at == b.n)
            break;
        n = utf8_length(p + at, b.n - at);
        if (n == 0) {
            buf_puts(out, "\xef\xbf\xbd");
            good = false;
        } else if (p[at] == '"' || p[at] == '\\') {
            buf_putc(out, '\\');
            buf_putc(out, (char)p[at]);
        } else if (p[at] < ' ' || p[at] == 0x7f) {
            buf_putf(out, "\\u%04x", p[at]);
        } else {
            buf_put(out, p + at, n);
        }
        at += n == 0 ? 1 : n;
    }
    buf_putc(out, '"');
    return good;
}
