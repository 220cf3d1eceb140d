#include "storage/s3/s3_xml.h"
#include <stdio.h>
#include <string.h>

#define NAME_ROOM 64

static const struct {
    const char *name;
    char is;
} entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};

#define ENTITIES (sizeof entities / sizeof *entities)

static const char *
find_text(struct bytes in, const char *what)
{
    return in.n > 0 ? memmem(in.p, in.n, what, strlen(what)) : NULL;
}

struct bytes
s3_xml_next(struct bytes *rest, const char *name)
{
    char begin[NAME_ROOM], end[NAME_ROOM];
    const char *from, *to, *stop = (const char *)rest->p + rest->n;

    snprintf(begin, sizeof begin, "<%s>", name);
    snprintf(end, sizeof end, "</%s>", name);
    from = find_text(*rest, begin);
    if (from == NULL)
        return bytes_of(NULL, 0);
    from += strlen(begin);
    to = find_text(bytes_of(from, (size_t)(stop - from)), end);
    if (to == NULL)
        return bytes_of(NULL, 0);
    *rest = bytes_of(to + strlen(end), (size_t)(stop - to) - strlen(end));
    return bytes_of(from, (size_t)(to - from));
}

struct bytes
s3_xml_text(struct bytes document, const char *name)
{
    return s3_xml_next(&document, name);
}

bool
s3_xml_is(struct bytes document, const char *name, const char *text)
{
    struct bytes found = s3_xml_text(document, name);

    return found.n > 0 && found.n == strlen(text) && memcmp(found.p, text, found.n) == 0;
}

/* </name>, or </prefix:name>. */
bool
s3_xml_ends_with(struct bytes document, const char *name)
{
    const char *p = document.p, *tag;
    size_t n = document.n, length = strlen(name);

    while (n > 0 && memchr(" \t\r\n", p[n - 1], 4) != NULL)
        n--;
    if (n < length + 3 || p[n - 1] != '>' || memcmp(p + n - 1 - length, name, length) != 0)
        return false;
    tag = memrchr(p, '<', n);
    return tag != NULL && tag[1] == '/' && (p[n - 2 - length] == '/' || p[n - 2 - length] == ':');
}

bool
s3_xml_decode(struct buf *out, struct bytes text)
{
    while (text.n > 0) {
        size_t i = 0;

        if (*(const char *)text.p != '&') {
            buf_put(out, text.p, 1);
            text = bytes_after(text, 1);
            continue;
        }
        while (i < ENTITIES && !bytes_start_with(text, bytes_str(entities[i].name)))
            i++;
        if (i == ENTITIES)
            return false;
        buf_putc(out, entities[i].is);
        text = bytes_after(text, strlen(entities[i].name));
    }
    return buf_ok(out);
}

void
s3_xml_encode(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        size_t i = 0;

        while (i < ENTITIES && entities[i].is != *text)
            i++;
        if (i < ENTITIES)
            buf_puts(out, entities[i].name);
        else
            buf_putc(out, *text);
    }
}
