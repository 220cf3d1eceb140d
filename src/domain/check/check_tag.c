#include "domain/check/check_tag.h"
#include "domain/check/check_repo.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_image.h"
#include "storage/tables/tbl_manifest.h"

static struct edge
edge_of_tag(const struct check_entry *e)
{
    return (struct edge){.to = e->r.tag.target, .kind = EDGE_TAG, .repo = e->repo, .tag = e->text};
}

int
check_tag_has_target(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    const struct digest *to = &e->r.tag.target;
    char text[DIGEST_TEXT_MAX];
    struct rec_manifest m;
    struct rec_image i;
    int rc = to->algo == DIGEST_V1_ID ? tbl_image_get(t, to, &i, err)
                                      : tbl_manifest_get(t, e->repo, to, &m, err);

    if (rc != 0)
        return rc;
    digest_text(text, to);
    return check_fails(c, "it names %s, which is missing", text);
}

/* The tally is corrected when its turn comes. */
int
check_tag_drop(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct edge edge = edge_of_tag(e);

    return check_repo_drop_entry(c, t, e, err) != 0 ? -1 : tbl_edge_drop(t, &edge, err);
}

int
check_tag_has_edge(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct edge edge = edge_of_tag(e);
    int rc = tbl_edge_has(t, &edge, err);

    return rc == 0 ? check_fails(c, "no edge tells that it keeps its target") : rc;
}

int
check_tag_put_edge(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct edge edge = edge_of_tag(e);

    (void)c;
    return tbl_edge_put(t, &edge, err);
}
