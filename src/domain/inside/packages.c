#include "domain/inside/packages.h"
#include <stdlib.h>
#include <strings.h>
#include "util/mem.h"
#include "util/utf8.h"

enum package_field {
    FIELD_NAME,
    FIELD_ARCHITECTURE,
    FIELD_VERSION,
    FIELD_SOURCE,
    FIELD_STATUS,
    FIELDS,
};

/* One paragraph on its way; the texts point into the file. */
struct package_reading {
    struct packages *to;
    enum package_kind kind;
    struct arena *arena;
    struct bytes fields[FIELDS];
};

/* deb-control(5), dpkg-query(1); apk-tools' installed database, format v2. */
static const char *const field_names[][FIELDS] = {
    [PACKAGE_DEB] = {"Package", "Architecture", "Version", "Source", "Status"},
    [PACKAGE_APK] = {"P", "A", "V", "o", NULL},
};

/* ---- one package ---- */

static struct bytes
first_word(struct bytes text)
{
    const char *p = text.p;
    size_t n = 0;

    while (n < text.n && p[n] != ' ' && p[n] != '\t')
        n++;
    return bytes_of(p, n);
}

static struct bytes
last_word(struct bytes text)
{
    const char *p = text.p;
    size_t from = text.n;

    while (from > 0 && p[from - 1] != ' ' && p[from - 1] != '\t')
        from--;
    return bytes_of(p + from, text.n - from);
}

/* dpkg keeps what was removed, with its configuration. A file of status.d has no such line. */
static bool
is_installed(const struct package_reading *r)
{
    struct bytes status = r->fields[FIELD_STATUS];

    return status.n == 0 || bytes_equal(last_word(status), bytes_str("installed"));
}

static const char *
keep_text(struct package_reading *r, enum package_field field)
{
    struct bytes text = r->fields[field];
    char copy[PACKAGE_TEXT_MAX + 1];
    size_t n;

    if (field == FIELD_SOURCE)
        text = first_word(text); /* its version follows, in parentheses */
    n = text.n < PACKAGE_TEXT_MAX ? text.n : PACKAGE_TEXT_MAX;
    for (size_t i = 0; i < n; i++)
        copy[i] = ((const char *)text.p)[i] != '\0' ? ((const char *)text.p)[i] : '?';
    copy[n] = '\0';
    utf8_mend(copy);
    return arena_strdup(r->arena, copy);
}

static int
add_package(struct package_reading *r, struct err *err)
{
    struct packages *to = r->to;
    struct package one = {.kind = r->kind};

    one.name = keep_text(r, FIELD_NAME);
    one.architecture = keep_text(r, FIELD_ARCHITECTURE);
    one.version = keep_text(r, FIELD_VERSION);
    one.source = keep_text(r, FIELD_SOURCE);
    if (one.name == NULL || one.architecture == NULL || one.version == NULL || one.source == NULL)
        return arena_full(err);
    to->v = mem_grow(to->v, &to->room, to->n + 1, sizeof *to->v);
    to->v[to->n++] = one;
    to->bytes +=
        strlen(one.name) + strlen(one.architecture) + strlen(one.version) + strlen(one.source);
    return 0;
}

/* Ends a paragraph. */
static int
end_package(struct package_reading *r, struct err *err)
{
    struct packages *to = r->to;
    int rc = 0;

    if (r->fields[FIELD_NAME].n > 0 && is_installed(r)) {
        if (to->n == PACKAGES_MAX || to->bytes > PACKAGES_TEXTS_MAX - 4 * PACKAGE_TEXT_MAX)
            to->truncated = true;
        else
            rc = add_package(r, err);
    }
    memset(r->fields, 0, sizeof r->fields);
    return rc;
}

/* ---- lines ---- */

static struct bytes
trim_field(struct bytes text)
{
    const char *p = text.p;
    size_t from = 0;

    while (from < text.n && (p[from] == ' ' || p[from] == '\t'))
        from++;
    while (text.n > from && strchr(" \t\r", p[text.n - 1]) != NULL && p[text.n - 1] != '\0')
        text.n--;
    return bytes_of(p + from, text.n - from);
}

/* The first line of a name counts. In apk's database the names of fields have one letter, and
 * capitals differ from small letters. */
static void
take_field(struct package_reading *r, struct bytes line)
{
    const char *colon = memchr(line.p, ':', line.n);
    size_t n = colon != NULL ? (size_t)(colon - (const char *)line.p) : 0;

    for (size_t i = 0; colon != NULL && i < FIELDS; i++) {
        const char *name = field_names[r->kind][i];

        if (name == NULL || strlen(name) != n || r->fields[i].n > 0 ||
            (r->kind == PACKAGE_DEB ? strncasecmp(name, line.p, n) : memcmp(name, line.p, n)) != 0)
            continue;
        r->fields[i] = trim_field(bytes_of(colon + 1, line.n - n - 1));
        return;
    }
}

int
packages_parse(struct packages *p, enum package_kind kind, struct bytes text, struct arena *arena,
               struct err *err)
{
    struct package_reading r = {.to = p, .kind = kind, .arena = arena};
    const char *at = text.p;
    size_t left = text.n;

    while (left > 0) {
        const char *newline = memchr(at, '\n', left);
        size_t n = newline != NULL ? (size_t)(newline - at) : left;

        if (trim_field(bytes_of(at, n)).n == 0) {
            if (end_package(&r, err) != 0)
                return -1;
        } else if (*at != ' ' && *at != '\t') {
            take_field(&r, bytes_of(at, n));
        }
        n += newline != NULL;
        at += n;
        left -= n;
    }
    return end_package(&r, err);
}

/* ---- all of them ---- */

int
packages_compare(const struct package *a, const struct package *b)
{
    int order = strcmp(a->name, b->name);

    if (order == 0)
        order = (a->kind > b->kind) - (a->kind < b->kind);
    return order != 0 ? order : strcmp(a->architecture, b->architecture);
}

static int
compare_with_version(const void *a, const void *b)
{
    const struct package *x = a, *y = b;
    int order = packages_compare(x, y);

    return order != 0 ? order : strcmp(x->version, y->version);
}

void
packages_sort(struct packages *p)
{
    if (p->n > 0)
        qsort(p->v, p->n, sizeof *p->v, compare_with_version);
}

void
packages_free(struct packages *p)
{
    free(p->v);
}
