#include "domain/v1/image_named.h"
#include "domain/core/repository.h"
#include "domain/v1/image_ids.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_image.h"
#include "storage/tables/tbl_manifest.h"

static int
collect_named(const struct edge *e, void *arg, struct err *err)
{
    struct image_named_list *list = arg;

    (void)err;
    list->v[list->n++] = (struct image_named){.repo = e->repo,
                                              .manifest = e->from,
                                              .is_proven = e->kind == EDGE_ID_PROVEN,
                                              .is_open = e->kind == EDGE_ID};
    return list->n == IMAGE_NAMED_MAX;
}

static bool
is_digest_of(const struct digest *d, const struct digest *id)
{
    struct digest own;

    return image_ids_from(d, &own) && digest_equal(&own, id);
}

/* 1; 0: the manifest was just deleted; -1. */
static int
judge_named(const struct registry *reg, const struct digest *id, struct image_named *x,
            struct err *err)
{
    struct rec_manifest r;
    int rc = tbl_manifest_get(kv_reads(reg->kv), x->repo, &x->manifest, &r, err);

    if (rc != 1)
        return rc;
    x->is_own = is_digest_of(&r.id, id) || is_digest_of(&x->manifest, id);
    x->is_made = r.made_from.algo != DIGEST_NONE;
    return 1;
}

/* Collects the edges of one kind that lead to repositories from which the actor may pull. */
static int
collect_seen(const struct registry *reg, const struct actor *actor, struct repository_walk *walk,
             enum edge_kind kind, struct image_named_list *list, struct err *err)
{
    int rc = 0;

    walk->kind = kind;
    walk->repo = 0;
    while (list->n < IMAGE_NAMED_MAX && (rc = repository_walk_next(reg, actor, walk, err)) == 1)
        if (tbl_edge_each(kv_reads(reg->kv), &walk->to, kind, walk->repo, NULL, collect_named, list,
                          err) != 0)
            return -1;
    return rc < 0 ? -1 : 0;
}

static int
collect_kind(const struct registry *reg, const struct actor *actor, uint64_t repo,
             const struct digest *id, enum edge_kind kind, struct image_named_list *list,
             struct err *err)
{
    struct repository_walk walk = {.to = *id};

    if (list->n == IMAGE_NAMED_MAX)
        return 0;
    if (repo == 0 && actor != NULL && !access_everywhere(reg, actor, RIGHT_PULL))
        return collect_seen(reg, actor, &walk, kind, list, err);
    return tbl_edge_each(kv_reads(reg->kv), id, kind, repo, NULL, collect_named, list, err);
}

static bool
is_in_list(const struct image_named_list *list, const struct image_named *x)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i].repo == x->repo && digest_equal(&list->v[i].manifest, &x->manifest))
            return true;
    return false;
}

/* Between two reads, what was open may have been proven, or found to be unsure. So these kinds are
 * read after the open ones: then a manifest can be met twice, but can't be missed. */
static int
collect_all(const struct registry *reg, const struct actor *actor, uint64_t repo,
            const struct digest *id, struct image_named_list *list, struct err *err)
{
    struct image_named_list others = {.n = 0};

    list->n = 0;
    if (collect_kind(reg, actor, repo, id, EDGE_ID, &others, err) != 0 ||
        collect_kind(reg, actor, repo, id, EDGE_ID_UNSURE, &others, err) != 0 ||
        collect_kind(reg, actor, repo, id, EDGE_ID_PROVEN, list, err) != 0)
        return -1;
    for (size_t i = 0; i < others.n && list->n < IMAGE_NAMED_MAX; i++)
        if (!is_in_list(list, &others.v[i]))
            list->v[list->n++] = others.v[i];
    list->more = list->n == IMAGE_NAMED_MAX;
    return 0;
}

int
image_named_read(const struct registry *reg, const struct actor *actor, uint64_t repo,
                 const struct digest *id, struct image_named_list *list, struct err *err)
{
    size_t kept = 0;

    if (collect_all(reg, actor, repo, id, list, err) != 0)
        return -1;
    for (size_t i = 0; i < list->n; i++) {
        int rc = judge_named(reg, id, &list->v[i], err);

        if (rc < 0)
            return -1;
        if (rc == 1)
            list->v[kept++] = list->v[i];
    }
    list->n = kept;
    return 0;
}

static int
stop_at_edge(const struct edge *e, void *arg, struct err *err)
{
    bool *found = arg;

    (void)e;
    (void)err;
    *found = true;
    return 1;
}

int
image_named_is_anothers(const struct registry *reg, uint64_t repo, const struct digest *id,
                        struct err *err)
{
    /* In this order, since what is open may be proven meanwhile. */
    static const enum edge_kind KINDS[] = {EDGE_ID, EDGE_ID_PROVEN, EDGE_MADE};
    bool found = false;
    struct rec_image r;
    int rc = tbl_image_get(kv_reads(reg->kv), id, &r, err);

    /* One without a checksum was made of a proven manifest. */
    if (rc != 1 || r.state != IMAGE_COMPLETE || r.checksum.algo == DIGEST_NONE)
        return rc < 0 ? -1 : 0;
    for (size_t k = 0; k < sizeof KINDS / sizeof KINDS[0] && !found; k++)
        if (tbl_edge_each(kv_reads(reg->kv), id, KINDS[k], repo, NULL, stop_at_edge, &found, err) !=
            0)
            return -1;
    return !found;
}

int
image_named_is_taken(struct txn *t, const struct digest *id, struct err *err)
{
    int rc = tbl_edge_any(t, id, EDGE_ID_OWN, err);

    return rc == 0 ? tbl_edge_any(t, id, EDGE_ID_PROVEN, err) : rc;
}
