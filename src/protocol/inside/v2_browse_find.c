#include "protocol/inside/v2_browse_find.h"
#include "domain/inside/layer_find.h"
#include "protocol/inside/browse_entry.h"
#include "protocol/http/page.h"
#include "protocol/inside/v2_browse.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/clock.h"

/* Bytes of a page, without its last entry. */
#define PAGE_BYTES ((size_t)1 << 20)

struct finding {
    struct browse_image *im;
    struct layer_pattern pattern;
    size_t limit;
    struct buf text;
    struct buf last; /* the path to go on behind */
    bool more;
};

static int
put_entry(void *arg, struct bytes path, const struct layer_merge_node *node, struct err *err)
{
    struct finding *f = arg;
    char absolute[BROWSE_PATH_MAX];
    size_t n = path.n < sizeof absolute - 1 ? path.n : sizeof absolute - 1;

    absolute[0] = '/';
    memcpy(absolute + 1, path.p, n);
    buf_putc(&f->text, f->text.n > 0 ? ',' : '[');
    browse_entry_put(&f->text, f->im, bytes_of(absolute, n + 1), node);
    if (!buf_ok(&f->text))
        return arena_full(err);
    return f->text.n > PAGE_BYTES;
}

/* Makes a page. It is begun again when an index has to be made again. */
static int
fill_page(struct call *c, struct finding *f, struct err *err)
{
    const char *last = query_get(&c->query, "last");
    struct bytes after = bytes_str(last != NULL ? last : "");
    const char *p = after.p;
    int rc;

    while (after.n > 0 && *p == '/')
        after = bytes_of(++p, after.n - 1);
    while (after.n > 0 && p[after.n - 1] == '/')
        after.n--;
    do {
        struct layer_find_page page = {.after = after,
                                       .n = f->limit,
                                       .until = clock_mono_ms() + LAYER_FIND_MS,
                                       .fn = put_entry,
                                       .arg = f,
                                       .last = &f->last};

        buf_reset(&f->text);
        rc = layer_find(&f->im->merge, &f->pattern, &page, err);
        f->more = page.more;
    } while (rc != 0 && err->code == ERR_CORRUPT && browse_mend(f->im, err) == 0);
    return rc;
}

static int
add_find_link(struct call *c, const struct finding *f, struct err *err)
{
    const char *path, *more;
    struct buf b;
    int rc = -1;

    buf_init(&b, 1u << 16);
    page_put_parameter(c, &b, "name");
    page_put_parameter(c, &b, "platform");
    if (!buf_ok(&b))
        arena_full(err);
    else if (call_text(c, &more, err, "%s", buf_text(&b)) == 0 &&
             call_text(c, &path, err, "/v2/%s/_image/%s/find", c->name, c->first) == 0)
        rc = page_link_more(c, path, f->limit, buf_bytes(&f->last), more, err);
    buf_free(&b);
    return rc;
}

static int
answer_find(struct call *c, struct finding *f, struct err *err)
{
    const char *name = query_get(&c->query, "name");
    struct layer_merge_node root;

    if (layer_find_pattern(&f->pattern, bytes_str(name != NULL ? name : ""), err) != 0 ||
        page_limit(c, &f->limit, err) != 0 ||
        browse_find(f->im, c->arena, bytes_of("", 0), true, &root, err) < 0 ||
        fill_page(c, f, err) != 0)
        return -1;
    if (f->more && f->limit > 0 && add_find_link(c, f, err) != 0)
        return -1;
    buf_puts(&f->text, f->text.n > 0 ? "]" : "[]");
    if (!buf_ok(&f->text))
        return arena_full(err);
    return call_copy(c, 200, "application/json", buf_bytes(&f->text), err);
}

int
v2_browse_find(struct call *c, struct err *err)
{
    struct finding f = {.im = NULL};
    int rc;

    if (v2_browse_open(c, &f.im, err) != 0)
        return -1;
    buf_init(&f.text, PAGE_BYTES + 2 * BROWSE_ENTRY_MAX);
    buf_init(&f.last, BROWSE_PATH_MAX);
    rc = answer_find(c, &f, err);
    buf_free(&f.text);
    buf_free(&f.last);
    browse_close(f.im);
    return rc;
}
