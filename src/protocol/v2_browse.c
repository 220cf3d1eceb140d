#include "protocol/v2_browse.h"

#include <string.h>

#include "protocol/browse_view.h"
#include "protocol/v2_base.h"
#include "util/parse.h"
#include "util/banned.h"

int
v2_browse_open(struct call *c, struct browse_image **im, struct err *err)
{
    struct reference reference;

    if (v2_reference(c->first, &reference, err) != 0 || (*im = browse_view_room(c, err)) == NULL)
        return -1;
    return browse_open_manifest(c->reg, c->name, &reference, query_get(&c->query, "platform"),
                                c->arena, *im, err);
}

int
v2_browse_tree(struct call *c, struct err *err)
{
    struct browse_image *im;
    const char *base;

    if (call_text(c, &base, err, "/v2/%s/_image/%s/tree", c->name, c->first) != 0 ||
        v2_browse_open(c, &im, err) != 0)
        return -1;
    return browse_view_tree(c, im, base, err);
}

int
v2_browse_blob(struct call *c, struct err *err)
{
    struct browse_image *im;

    return v2_browse_open(c, &im, err) != 0 ? -1 : browse_view_blob(c, im, err);
}

int
v2_browse_stat(struct call *c, struct err *err)
{
    struct browse_image *im;

    return v2_browse_open(c, &im, err) != 0 ? -1 : browse_view_stat(c, im, err);
}

int
v2_browse_layer(struct call *c, struct err *err)
{
    struct browse_image *im;
    const char *base;
    uint64_t n;

    if (!parse_u64(c->last, strlen(c->last), &n))
        return err_set(err, ERR_NO_FILE, "a layer is a number from 0 on, not %s", c->last);
    if (call_text(c, &base, err, "/v2/%s/_image/%s/layers/%s/tree", c->name, c->first, c->last) !=
            0 ||
        v2_browse_open(c, &im, err) != 0)
        return -1;
    if (n >= im->n) {
        browse_close(im);
        return err_set(err, ERR_NO_FILE, "there is no layer %s: this image has %zu", c->last,
                       im->n);
    }
    browse_alone(im, im->n - 1 - (size_t)n);
    return browse_view_tree(c, im, base, err);
}
