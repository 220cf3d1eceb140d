#include "protocol/inside/v2_browse_page.h"
#include "protocol/http/page.h"
#include "protocol/inside/browse_entry.h"
#include "protocol/inside/v2_browse.h"
#include "util/arena.h"

/* Bytes of a page, without its last entry. */
#define PAGE_BYTES ((size_t)1 << 20)
/* Escaped parameters of a request. */
#define PARAMETERS_MAX ((size_t)64 << 10)

int
v2_browse_page_put(struct v2_browse_page *p, struct bytes path, const struct layer_merge_node *node,
                   const char *more, struct err *err)
{
    char absolute[BROWSE_PATH_MAX];
    size_t n = path.n < sizeof absolute - 1 ? path.n : sizeof absolute - 1;

    absolute[0] = '/';
    memcpy(absolute + 1, path.p, n);
    buf_putc(&p->text, p->text.n > 0 ? ',' : '[');
    browse_entry_put(&p->text, p->im, bytes_of(absolute, n + 1), node);
    if (!buf_ok(&p->text))
        return arena_full(err);
    buf_cut(&p->text, p->text.n - 1); /* its brace */
    buf_puts(&p->text, more);
    buf_putc(&p->text, '}');
    return buf_ok(&p->text) ? p->text.n > PAGE_BYTES : arena_full(err);
}

struct bytes
v2_browse_page_after(const struct call *c)
{
    const char *last = query_get(&c->query, "last");
    struct bytes after = bytes_str(last != NULL ? last : "");
    const char *p = after.p;

    while (after.n > 0 && *p == '/')
        after = bytes_of(++p, after.n - 1);
    while (after.n > 0 && p[after.n - 1] == '/')
        after.n--;
    return after;
}

int
v2_browse_page_link(struct call *c, const struct v2_browse_page *p, const char *path,
                    struct err *err)
{
    struct buf more;
    int rc;

    buf_init(&more, PARAMETERS_MAX);
    page_put_parameter(c, &more, "name");
    page_put_parameter(c, &more, "platform");
    rc = buf_ok(&more)
             ? page_link_more(c, path, p->limit, buf_bytes(&p->last), buf_text(&more), err)
             : arena_full(err);
    buf_free(&more);
    return rc;
}

static int
end_page(struct call *c, struct v2_browse_page *p, struct err *err)
{
    buf_puts(&p->text, p->text.n > 0 ? "]" : "[]");
    if (!buf_ok(&p->text))
        return arena_full(err);
    return call_copy(c, 200, "application/json", buf_bytes(&p->text), err);
}

int
v2_browse_page_answer(struct call *c,
                      int (*fill)(struct call *c, struct v2_browse_page *p, struct err *err),
                      struct err *err)
{
    struct v2_browse_page p = {.im = NULL};
    int rc;

    if (v2_browse_open(c, &p.im, err) != 0)
        return -1;
    buf_init(&p.text, PAGE_BYTES + 2 * BROWSE_ENTRY_MAX);
    buf_init(&p.last, BROWSE_PATH_MAX);
    rc = page_limit(c, &p.limit, err);
    if (rc == 0)
        rc = fill(c, &p, err);
    if (rc == 0)
        rc = end_page(c, &p, err);
    buf_free(&p.text);
    buf_free(&p.last);
    browse_close(p.im);
    return rc;
}
