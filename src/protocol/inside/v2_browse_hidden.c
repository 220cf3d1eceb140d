#include "protocol/inside/v2_browse_hidden.h"
#include "domain/inside/browse_hidden.h"
#include "domain/inside/layer_find.h"
#include "protocol/inside/v2_browse.h"
#include "protocol/inside/v2_browse_page.h"
#include "util/clock.h"

static void
clear_hidden_page(void *arg)
{
    struct v2_browse_page *p = arg;

    buf_reset(&p->text);
}

static int
put_hidden_entry(void *arg, struct bytes path, const struct layer_merge_node *node, bool replaced,
                 struct err *err)
{
    struct v2_browse_page *p = arg;

    return v2_browse_page_put(
        p, path, node, replaced ? ",\"hidden\":\"replaced\"" : ",\"hidden\":\"removed\"", err);
}

static int
fill_hidden(struct call *c, struct v2_browse_page *p, struct err *err)
{
    const char *path;
    struct browse_hidden list = {.after = v2_browse_page_after(c),
                                 .n = p->limit,
                                 .until = clock_mono_ms() + LAYER_FIND_MS,
                                 .fn = put_hidden_entry,
                                 .again = clear_hidden_page,
                                 .arg = p,
                                 .last = &p->last};

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
