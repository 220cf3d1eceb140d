#include "domain/check/check_images.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_damage.h"
#include "storage/tables/tbl_image.h"

static struct edge
edge_of_image(const struct check_entry *e, const struct digest *to)
{
    return (struct edge){.to = *to, .kind = EDGE_IMAGE, .from = e->digest};
}

int
check_image_has_json(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct buf json;
    int rc = tbl_content_get(t, &e->digest, &json, err);

    buf_free(&json);
    return rc == 0 ? check_fails(c, "its JSON is missing") : rc;
}

int
check_image_has_edges(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct edge parent = edge_of_image(e, &e->r.image.parent);
    struct edge layer = edge_of_image(e, &e->r.image.layer);
    int rc = layer.to.algo != DIGEST_NONE ? tbl_edge_has(t, &layer, err) : 1;

    if (rc == 0)
        return check_fails(c, "no edge tells that it keeps its layer");
    if (rc == 1)
        rc = parent.to.algo != DIGEST_NONE ? tbl_edge_has(t, &parent, err) : 1;
    return rc == 0 ? check_fails(c, "no edge tells that it keeps its parent") : rc;
}

int
check_image_put_edges(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct edge parent = edge_of_image(e, &e->r.image.parent);
    struct edge layer = edge_of_image(e, &e->r.image.layer);

    (void)c;
    if (layer.to.algo != DIGEST_NONE && tbl_edge_put(t, &layer, err) != 0)
        return -1;
    return parent.to.algo != DIGEST_NONE ? tbl_edge_put(t, &parent, err) : 0;
}

int
check_image_has_parent(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    const struct digest *parent = &e->r.image.parent;
    struct rec_image r;
    int rc = parent->algo != DIGEST_NONE ? tbl_image_get(t, parent, &r, err) : 1;

    return rc == 0 ? check_fails(c, "its parent is missing") : rc;
}

int
check_image_has_layer(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    const struct digest *layer = &e->r.image.layer;
    char text[DIGEST_TEXT_MAX];
    struct rec_blob r;
    int rc = layer->algo != DIGEST_NONE ? tbl_blob_get(t, layer, &r, err) : 1;

    if (rc != 0)
        return rc;
    digest_text(text, layer);
    return check_fails(c, "its layer %s is missing", text);
}

/* Its pusher can send the layer again: to others it is as if it had not come yet. */
int
check_image_open(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct edge layer = edge_of_image(e, &e->r.image.layer);
    struct rec_image r = e->r.image;

    (void)c;
    r.state = IMAGE_JSON;
    r.layer = r.checksum = (struct digest){.algo = DIGEST_NONE};
    return tbl_image_put(t, &e->digest, &r, err) != 0 ? -1 : tbl_edge_drop(t, &layer, err);
}
