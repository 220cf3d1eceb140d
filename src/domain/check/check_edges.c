#include "domain/check/check_edges.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_damage.h"
#include "storage/tables/tbl_image.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_trash.h"

#define KNOWN                                                                                   \
    (1u << EDGE_HELD | 1u << EDGE_TAG | 1u << EDGE_CHILD | 1u << EDGE_PART | 1u << EDGE_IMAGE | \
     1u << EDGE_MADE | 1u << EDGE_HISTORY | 1u << EDGE_TRASHED | 1u << EDGE_TRASH_PART |        \
     1u << EDGE_MEMBER | 1u << EDGE_SUBJECT | 1u << EDGE_ID | 1u << EDGE_ID_OWN |               \
     1u << EDGE_ID_PROVEN | 1u << EDGE_ID_UNSURE | 1u << EDGE_COUNTED)

int
check_edge_is_known(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    (void)t;
    (void)err;
    if (e->edge.kind < 32 && (KNOWN >> e->edge.kind & 1) != 0)
        return 1;
    return check_fails(c, "there is no kind of edges %d", (int)e->edge.kind);
}

int
check_edge_has_tag(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct rec_tag r;
    int rc = tbl_tag_get(t, e->repo, e->text, &r, err);

    if (rc < 0 || (rc == 1 && digest_equal(&r.target, &e->edge.to)))
        return rc;
    return check_fails(c, rc == 0 ? "there is no such tag" : "the tag names something else");
}

int
check_edge_has_manifest(struct check *c, struct txn *t, const struct check_entry *e,
                        struct err *err)
{
    const struct digest *d = e->edge.kind == EDGE_HELD ? &e->edge.to : &e->edge.from;
    struct rec_manifest r;
    int rc = tbl_manifest_get(t, e->repo, d, &r, err);

    return rc == 0 ? check_fails(c, "the repository has no such manifest") : rc;
}

int
check_edge_has_trash(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    const struct digest *d = e->edge.kind == EDGE_TRASHED ? &e->edge.to : &e->edge.from;
    struct rec_trash r;
    int rc = tbl_trash_get(t, e->repo, d, &r, err);

    return rc == 0 ? check_fails(c, "the repository has no such deleted manifest") : rc;
}

/* Does the manifest's document have the digest in it? A large document isn't read for that. */
int
check_edge_is_named(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    char hex[DIGEST_TEXT_MAX];
    struct buf text;
    int rc = tbl_content_get(t, &e->edge.from, &text, err);

    digest_hex(hex, &e->edge.to);
    if (rc == 1 && memmem(buf_text(&text), text.n, hex, strlen(hex)) == NULL)
        rc = check_fails(c, "the manifest does not name it");
    else if (rc == 0)
        rc = 1;
    buf_free(&text);
    return rc;
}

int
check_edge_has_image(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct rec_image r;
    int rc = tbl_image_get(t, &e->edge.from, &r, err);

    if (rc < 0 ||
        (rc == 1 && (digest_equal(&r.layer, &e->edge.to) || digest_equal(&r.parent, &e->edge.to))))
        return rc;
    return check_fails(c, rc == 0 ? "there is no such image"
                                  : "it is neither the layer nor the parent of the image");
}

int
check_edge_was_made(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct rec_manifest r;
    int rc = tbl_manifest_get(t, e->repo, &e->edge.from, &r, err);

    if (rc < 0 || (rc == 1 && digest_equal(&r.made_from, &e->edge.to)))
        return rc;
    return check_fails(c, "the repository has no manifest that was made of it");
}

/* A right outlives its blob only while the repository waits for it to be pushed again. */
static int
waits_for_blob(struct txn *t, const struct check_entry *e, struct err *err)
{
    struct rec_damage r;

    return tbl_damage_get(t, &e->edge.to, &r, err);
}

int
check_edge_has_blob(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct rec_image image;
    struct rec_blob blob;
    int rc = e->edge.to.algo == DIGEST_V1_ID ? tbl_image_get(t, &e->edge.to, &image, err)
                                             : tbl_blob_get(t, &e->edge.to, &blob, err);

    if (rc == 0 && e->edge.to.algo != DIGEST_V1_ID)
        rc = waits_for_blob(t, e, err);
    return rc == 0 ? check_fails(c, "a right to something that is not there") : rc;
}
