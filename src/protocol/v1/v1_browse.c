#include "protocol/v1/v1_browse.h"
#include "domain/v1/image.h"
#include "protocol/inside/browse_blob.h"
#include "protocol/inside/browse_view.h"

static int
open_v1_image(struct call *c, struct browse_image **im, struct err *err)
{
    struct digest id;

    if ((*im = browse_view_room(c, err)) == NULL ||
        image_resolve(c->reg, &c->actor, c->last, &id, err) != 0)
        return -1;
    return browse_open_v1(c->reg, &c->actor, &id, query_get(&c->query, "platform"), c->arena, *im,
                          err);
}

int
v1_browse_tree(struct call *c, struct err *err)
{
    struct browse_image *im;
    const char *base;

    if (call_text(c, &base, err, "/v1/images/%s/tree", c->last) != 0 ||
        open_v1_image(c, &im, err) != 0)
        return -1;
    return browse_view_tree(c, im, base, err);
}

int
v1_browse_blob(struct call *c, struct err *err)
{
    struct browse_image *im;

    return open_v1_image(c, &im, err) != 0 ? -1 : browse_blob_send(c, im, err);
}
