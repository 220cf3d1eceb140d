#include "protocol/inside/v2_browse_hidden.h"
#include "domain/inside/browse_hidden.h"
#include "protocol/inside/v2_browse.h"
#include "protocol/inside/v2_browse_page.h"
#include "util/arena.h"

static void
clear_hidden_page(void *arg)
{
    struct v2_browse_page *p = arg;

    buf_reset(&p->text);
    buf_reset(&p->last);
}

static int
put_hidden_entry(void *arg, struct bytes path, const struct layer_merge_node *node, bool replaced,
                 struct err *err)
{
    struct v2_browse_page *p = arg;
    int rc = v2_browse_page_put(
        p, path, node, replaced ? ",\"hidden\":\"replaced\"" : ",\"hidden\":\"removed\"", err);

    buf_reset(&p->last);
    buf_putc(&p->last, '/');
    buf_put(&p->last, path.p, path.n);
    return buf_ok(&p->last) ? rc : arena_full(err);
}

static int
fill_hidden(struct call *c, struct v2_browse_page *p, struct err *err)
{
    const char *last = query_get(&c->query, "last"), *path;
    struct browse_hidden list = {.after = bytes_str(last != NULL ? last : ""),
                                 .n = p->limit,
                                 .fn = put_hidden_entry,
                                 .again = clear_hidden_page,
                                 .arg = p};

    if (list.after.n > 0 && *last == '/')
        list.after = bytes_of(last + 1, list.after.n - 1);
    if (v2_browse_layer_number(c, p->im, &list.layer, err) != 0 ||
        browse_hidden_list(p->im, &list, err) != 0)
        return -1;
    if (!list.more || p->limit == 0)
        return 0;
    if (call_text(c, &path, err, "/v2/%s/_image/%s/layers/%s/hidden", c->name, c->first, c->last) !=
        0)
        return -1;
    return v2_browse_page_link(c, p, path, err);
}

int
v2_browse_hidden(struct call *c, struct err *err)
{
    return v2_browse_page_answer(c, fill_hidden, err);
}
