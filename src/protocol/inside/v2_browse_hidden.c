#include "protocol/inside/v2_browse_hidden.h"
#include "domain/inside/browse_hidden.h"
#include "protocol/http/page.h"
#include "protocol/inside/browse_entry.h"
#include "protocol/inside/v2_browse.h"
#include "util/arena.h"
#include "util/buf.h"

/* Bytes of a page, without its last entry. */
#define HIDDEN_PAGE_BYTES ((size_t)1 << 20)

struct hiding {
    struct browse_image *im;
    struct browse_hidden list;
    struct buf text;
    struct buf last; /* the path of the last entry */
};

static void
clear_hidden_page(void *arg)
{
    struct hiding *h = arg;

    buf_reset(&h->text);
    buf_reset(&h->last);
}

static int
put_hidden_entry(void *arg, struct bytes path, const struct layer_merge_node *node, bool replaced,
                 struct err *err)
{
    struct hiding *h = arg;
    char absolute[BROWSE_PATH_MAX];
    size_t n = path.n < sizeof absolute - 1 ? path.n : sizeof absolute - 1;

    absolute[0] = '/';
    memcpy(absolute + 1, path.p, n);
    buf_putc(&h->text, h->text.n > 0 ? ',' : '[');
    browse_entry_put(&h->text, h->im, bytes_of(absolute, n + 1), node);
    if (!buf_ok(&h->text))
        return arena_full(err);
    buf_cut(&h->text, h->text.n - 1); /* its brace */
    buf_puts(&h->text, replaced ? ",\"hidden\":\"replaced\"}" : ",\"hidden\":\"removed\"}");
    buf_reset(&h->last);
    buf_put(&h->last, absolute, n + 1);
    if (!buf_ok(&h->text) || !buf_ok(&h->last))
        return arena_full(err);
    return h->text.n > HIDDEN_PAGE_BYTES;
}

static int
add_hidden_link(struct call *c, const struct hiding *h, struct err *err)
{
    const char *path, *more;
    struct buf b;
    int rc = -1;

    buf_init(&b, 1u << 16);
    page_put_parameter(c, &b, "platform");
    if (!buf_ok(&b))
        arena_full(err);
    else if (call_text(c, &more, err, "%s", buf_text(&b)) == 0 &&
             call_text(c, &path, err, "/v2/%s/_image/%s/layers/%s/hidden", c->name, c->first,
                       c->last) == 0)
        rc = page_link_more(c, path, h->list.n, buf_bytes(&h->last), more, err);
    buf_free(&b);
    return rc;
}

static int
answer_hidden(struct call *c, struct hiding *h, struct err *err)
{
    const char *last = query_get(&c->query, "last");
    struct bytes after = bytes_str(last != NULL ? last : "");

    if (after.n > 0 && *(const char *)after.p == '/')
        after = bytes_of((const char *)after.p + 1, after.n - 1);
    h->list.after = after;
    if (v2_browse_layer_number(c, h->im, &h->list.layer, err) != 0 ||
        page_limit(c, &h->list.n, err) != 0 || browse_hidden_list(h->im, &h->list, err) != 0)
        return -1;
    if (h->list.more && h->list.n > 0 && add_hidden_link(c, h, err) != 0)
        return -1;
    buf_puts(&h->text, h->text.n > 0 ? "]" : "[]");
    if (!buf_ok(&h->text))
        return arena_full(err);
    return call_copy(c, 200, "application/json", buf_bytes(&h->text), err);
}

int
v2_browse_hidden(struct call *c, struct err *err)
{
    struct hiding h = {.list = {.fn = put_hidden_entry, .again = clear_hidden_page, .arg = &h}};
    int rc;

    if (v2_browse_open(c, &h.im, err) != 0)
        return -1;
    buf_init(&h.text, HIDDEN_PAGE_BYTES + 2 * BROWSE_ENTRY_MAX);
    buf_init(&h.last, BROWSE_PATH_MAX);
    rc = answer_hidden(c, &h, err);
    buf_free(&h.text);
    buf_free(&h.last);
    browse_close(h.im);
    return rc;
}
