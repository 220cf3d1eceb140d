#include "protocol/inside/v2_browse_packages.h"
#include "domain/inside/image_packages.h"
#include "protocol/inside/v2_browse.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/utf8.h"

/* More than an answer has with the most packages and PACKAGES_TEXTS_MAX of two images, of which
 * each byte may become six. */
#define PACKAGES_ANSWER_MAX ((size_t)64 << 20)
/* Memory for the texts of one image. */
#define PACKAGES_MEMORY ((size_t)16 << 20)

struct packages_side {
    struct arena arena;
    struct packages list;
};

static void
put_package_text(struct buf *out, const char *name, const char *text)
{
    buf_putf(out, ",\"%s\":", name);
    if (text != NULL)
        utf8_put_json(out, bytes_str(text));
    else
        buf_puts(out, "null");
}

static void
put_package_begin(struct buf *out, bool is_first, const char *op, const struct package *p)
{
    buf_puts(out, is_first ? "{" : ",{");
    if (op != NULL)
        buf_putf(out, "\"op\":\"%s\",", op);
    buf_putf(out, "\"type\":\"%s\"", p->kind == PACKAGE_DEB ? "deb" : "apk");
    put_package_text(out, "name", p->name);
    put_package_text(out, "architecture", p->architecture);
}

static void
put_packages(struct buf *out, const struct packages *list)
{
    buf_puts(out, "{\"packages\":[");
    for (size_t i = 0; i < list->n; i++) {
        put_package_begin(out, i == 0, NULL, &list->v[i]);
        put_package_text(out, "version", list->v[i].version);
        put_package_text(out, "source", list->v[i].source);
        buf_putc(out, '}');
    }
    buf_putf(out, "],\"truncated\":%s}", list->truncated ? "true" : "false");
}

/* from, to: NULL: the package isn't there. */
static void
put_package_change(struct buf *out, bool *any, const struct package *from, const struct package *to)
{
    const struct package *known = to != NULL ? to : from;

    if (known == NULL || (from != NULL && to != NULL && strcmp(from->version, to->version) == 0))
        return;
    put_package_begin(out, !*any, from == NULL ? "add" : to == NULL ? "remove" : "change", known);
    put_package_text(out, "version", to != NULL ? to->version : NULL);
    put_package_text(out, "from", from != NULL ? from->version : NULL);
    buf_putc(out, '}');
    *any = true;
}

/* Both are sorted. */
static void
put_package_changes(struct buf *out, const struct packages *from, const struct packages *to)
{
    bool any = false;

    buf_puts(out, "{\"changes\":[");
    for (size_t i = 0, k = 0; i < from->n || k < to->n;) {
        int order = i == from->n ? 1 : k == to->n ? -1 : packages_compare(&from->v[i], &to->v[k]);

        put_package_change(out, &any, order <= 0 ? &from->v[i] : NULL,
                           order >= 0 ? &to->v[k] : NULL);
        i += order <= 0;
        k += order >= 0;
    }
    buf_putf(out, "],\"truncated\":%s}", from->truncated || to->truncated ? "true" : "false");
}

static int
read_packages_of(struct call *c, const char *reference, struct packages_side *side, struct err *err)
{
    struct browse_image *im;
    int rc;

    if (v2_browse_open_other(c, reference, &im, err) != 0)
        return -1;
    rc = image_packages_read(im, &side->arena, &side->list, err);
    browse_close(im);
    return rc;
}

static int
answer_packages(struct call *c, const char *from, struct packages_side sides[2], struct buf *out,
                struct err *err)
{
    if (from != NULL && read_packages_of(c, from, &sides[0], err) != 0) {
        c->last = from; /* the reference that the error is about */
        return -1;
    }
    if (read_packages_of(c, c->first, &sides[1], err) != 0)
        return -1;
    if (from != NULL)
        put_package_changes(out, &sides[0].list, &sides[1].list);
    else
        put_packages(out, &sides[1].list);
    if (!buf_ok(out))
        return arena_full(err);
    http_reply_header(c->reply, "Cache-Control", "no-cache");
    return call_copy(c, 200, "application/json", buf_bytes(out), err);
}

int
v2_browse_packages(struct call *c, struct err *err)
{
    const char *from = query_get(&c->query, "from");
    struct packages_side sides[2];
    struct buf out;
    int rc;

    for (size_t i = 0; i < 2; i++) {
        sides[i].list = (struct packages){.n = 0};
        arena_init(&sides[i].arena, PACKAGES_MEMORY);
    }
    buf_init(&out, PACKAGES_ANSWER_MAX);
    rc = answer_packages(c, from, sides, &out, err);
    buf_free(&out);
    for (size_t i = 0; i < 2; i++) {
        packages_free(&sides[i].list);
        arena_reset(&sides[i].arena);
    }
    return rc;
}
