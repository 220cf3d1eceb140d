#include "protocol/inside/v2_browse_find.h"
#include "domain/inside/layer_find.h"
#include "protocol/inside/v2_browse_page.h"
#include "util/clock.h"

static int
put_found_entry(void *arg, struct bytes path, const struct layer_merge_node *node, struct err *err)
{
    return v2_browse_page_put(arg, path, node, "", err);
}

/* A page is begun again when an index has to be made again. */
static int
find_entries(struct call *c, struct v2_browse_page *p, const struct layer_pattern *pattern,
             bool *more, struct err *err)
{
    int rc;

    do {
        struct layer_find_page page = {.after = v2_browse_page_after(c),
                                       .n = p->limit,
                                       .until = clock_mono_ms() + LAYER_FIND_MS,
                                       .fn = put_found_entry,
                                       .arg = p,
                                       .last = &p->last};

        buf_reset(&p->text);
        rc = layer_find(&p->im->merge, pattern, &page, err);
        *more = page.more;
    } while (rc != 0 && err->code == ERR_CORRUPT && browse_mend(p->im, err) == 0);
    return rc;
}

static int
fill_found(struct call *c, struct v2_browse_page *p, struct err *err)
{
    const char *name = query_get(&c->query, "name"), *path;
    struct layer_merge_node root;
    struct layer_pattern pattern;
    bool more;

    if (layer_find_pattern(&pattern, bytes_str(name != NULL ? name : ""), err) != 0 ||
        browse_find(p->im, c->arena, bytes_of("", 0), true, &root, err) < 0 ||
        find_entries(c, p, &pattern, &more, err) != 0)
        return -1;
    if (!more || p->limit == 0)
        return 0;
    if (call_text(c, &path, err, "/v2/%s/_image/%s/find", c->name, c->first) != 0)
        return -1;
    return v2_browse_page_link(c, p, path, err);
}

int
v2_browse_find(struct call *c, struct err *err)
{
    return v2_browse_page_answer(c, fill_found, err);
}
