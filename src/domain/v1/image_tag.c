#include "domain/v1/image_tag.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "domain/core/blob.h"
#include "domain/core/derived.h"
#include "domain/core/lease.h"
#include "domain/v1/conversion_job.h"
#include "domain/events/event.h"
#include "domain/v1/image.h"
#include "domain/v1/image_ids.h"
#include "domain/v1/image_view.h"
#include "domain/v1/converted.h"
#include "domain/core/manifest.h"
#include "domain/events/prehook.h"
#include "domain/core/pull.h"
#include "domain/core/push.h"
#include "domain/core/repository.h"
#include "domain/core/tag.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_event.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_tag.h"
#include "util/clock.h"
#include "util/banned.h"

/* An ancestor's id may be that of many manifests: then none of so many is called so itself. */
#define CANDIDATES_MAX 16

struct tagging {
    const struct registry *reg;
    const char *repository;
    const char *tag;
    const struct digest *id;
    const struct actor *actor;
    struct rec_repo repo;
    struct digest target; /* what the tag is to name: the image, or the manifest made of it */
    struct digest *chain; /* the image and its ancestors; room for IMAGE_CHAIN_MAX */
    size_t n;
    struct edge *edges;   /* one more than that */
    struct digest judged; /* where the tag pointed when a pre-hook let it go */
    bool asked;           /* it did */
    bool stale;           /* it has moved since: ask again */
    bool unmade;          /* the manifest went, or came, meanwhile: begin anew */
};

/* The pre-hook gets the image's JSON for a manifest. */
static int
judge(struct tagging *g, struct arena *arena, struct err *err)
{
    struct rec_event e = event_of(EVENT_TAG, g->repository, g->actor);
    struct bytes json;
    struct rec_tag r;
    int rc = g->actor->quiet ? 0 : prehook_find(g->reg, HOOK_PRE_TAG, err);

    g->asked = rc == 1;
    if (rc != 1)
        return rc;
    rc = tbl_tag_get(kv_reads(g->reg->kv), g->repo.id, g->tag, &r, err);
    if (rc < 0 || image_json(g->reg, g->id, arena, &json, err) != 0)
        return -1;
    g->judged = rc == 1 ? r.target : (struct digest){.algo = DIGEST_NONE};
    e.id = *g->id;
    e.old = g->judged;
    snprintf(e.tag, sizeof e.tag, "%s", g->tag);
    return prehook_ask(g->reg, HOOK_PRE_TAG, &e, json, arena, err);
}

/* The right of the repository to show the image and its ancestors. Those of a chain come together,
 * so if the first is there all are. */
static int
put_edges(struct txn *t, struct tagging *g, const struct digest *old, struct err *err)
{
    struct edge tag = {.to = g->target, .kind = EDGE_TAG, .repo = g->repo.id, .tag = g->tag};
    struct edge member = {.to = *g->id, .kind = EDGE_MEMBER, .repo = g->repo.id};
    int has = tbl_edge_has(t, &member, err);
    size_t n = 0;

    if (has < 0)
        return -1;
    g->edges[n++] = tag;
    for (size_t i = 0; i < g->n && has == 0; i++)
        g->edges[n++] = (struct edge){.to = g->chain[i], .kind = EDGE_MEMBER, .repo = g->repo.id};
    tbl_edge_sort(g->edges, n);
    for (size_t i = 0; i < n; i++)
        if (tbl_edge_put(t, &g->edges[i], err) != 0)
            return -1;
    tag.to = *old;
    if (old->algo == DIGEST_NONE || digest_equal(old, &g->target))
        return 0;
    return tbl_edge_delete(t, &tag, err) < 0 ? -1 : 0;
}

/* Is the manifest that was found still there? */
static int
check_target(struct txn *t, struct tagging *g, struct err *err)
{
    struct digest id;
    int rc = converted_id(t, g->repo.id, &g->target, &id, err);

    if (rc < 0 || (rc == 1 && digest_equal(&id, g->id)))
        return rc < 0 ? -1 : 0;
    g->unmade = true;
    return err_set(err, ERR_BUSY, "a manifest came and went while its image was tagged");
}

/* The tag's edge has moved: who looks at what it named, and has what it names converted? */
static int
put_jobs(struct txn *t, struct tagging *g, const struct digest *old, bool was_made, uint64_t now,
         struct err *err)
{
    if (old->algo == DIGEST_V1_ID && !digest_equal(old, &g->target) &&
        lease_look_at(t, old, now + g->reg->lease_ms, err) != 0)
        return -1;
    if (was_made && derived_look_later(t, g->repo.id, old, now, err) != 0)
        return -1;
    return g->target.algo == DIGEST_V1_ID ? conversion_job_later(t, g->id, now, err) : 0;
}

static int
put_tag(struct txn *t, void *arg, struct err *err)
{
    struct tagging *g = arg;
    struct rec_event e = event_of(EVENT_TAG, g->repository, g->actor);
    uint64_t now = clock_wall_ms();
    struct digest old;
    int was_made = 0;
    bool moved;

    g->stale = g->unmade = false;
    if (repository_touch(t, g->repository, &g->repo, now, err) != 0 ||
        tag_move(t, g->reg, g->repo.id, g->tag, &g->target, g->actor, &old, err) != 0)
        return -1;
    g->stale = g->asked && !digest_equal(&old, &g->judged);
    if (g->stale)
        return err_set(err, ERR_BUSY, "a tag moved again and again while a hook looked at it");
    moved = !digest_equal(&old, &g->target);
    if ((moved && old.algo == DIGEST_V1_ID && image_lease(t, g->reg, &old, now, err) != 0) ||
        image_chain(t, g->id, g->chain, &g->n, err) != 0 || check_target(t, g, err) != 0 ||
        (moved && (was_made = derived_was(t, g->repo.id, &old, err)) < 0) ||
        put_edges(t, g, &old, err) != 0 || put_jobs(t, g, &old, was_made == 1, now, err) != 0)
        return -1;
    if (g->actor->quiet)
        return 0;
    e.id = *g->id;
    if (g->target.algo != DIGEST_V1_ID)
        e.digest = g->target;
    e.old = old;
    snprintf(e.tag, sizeof e.tag, "%s", g->tag);
    return tbl_event_append(t, &e, err);
}

/* Once. With a manifest of that image in the repository the tag names that at once. */
static int
try(struct tagging *g, struct err *err)
{
    int rc = converted_find(kv_reads(g->reg->kv), g->repo.id, g->id, &g->target, err);

    if (rc < 0)
        return -1;
    if (rc == 0)
        g->target = *g->id;
    return txn_run(g->reg->kv, put_tag, g, err);
}

/* ---- what the second API has pushed ---- */

struct candidates {
    struct digest v[CANDIDATES_MAX];
    size_t n;
};

static int
see_candidate(const struct edge *e, void *arg, struct err *err)
{
    struct candidates *c = arg;

    (void)err;
    c->v[c->n++] = e->from;
    return c->n == CANDIDATES_MAX;
}

/* Is the manifest itself called so, and not just what it stands upon? 1, 0, -1. */
static int
is_called(const struct registry *reg, uint64_t repo, const struct digest *manifest,
          const struct digest *id, struct rec_manifest *r, struct err *err)
{
    struct digest own;
    int rc = tbl_manifest_get(kv_reads(reg->kv), repo, manifest, r, err);

    if (rc != 1)
        return rc;
    return (image_ids_from(&r->id, &own) && digest_equal(&own, id)) ||
           (image_ids_from(manifest, &own) && digest_equal(&own, id));
}

/* Of that repository, by its id: 1, 0, -1. */
static int
find_manifest(const struct registry *reg, uint64_t repo, const struct digest *id,
              struct digest *manifest, struct rec_manifest *r, struct err *err)
{
    struct candidates c = {.n = 0};
    int rc = 0;

    if (tbl_edge_each(kv_reads(reg->kv), id, EDGE_ID, repo, NULL, see_candidate, &c, err) != 0)
        return -1;
    for (size_t i = 0; rc == 0 && i < c.n; i++) {
        *manifest = c.v[i];
        rc = is_called(reg, repo, manifest, id, r, err);
    }
    return rc;
}

/* Who has pulled an image from one repository and pushes it to another, sends nothing of it: it is
 * here, by its id. Lets this repository serve what that one does, for the manifest to be pushed.
 * 1, 0, -1. */
static int
bring(const struct registry *reg, const struct digest *id, struct push *p, struct rec_manifest *r,
      struct arena *arena, struct err *err)
{
    struct image_view v;
    struct manifest m;
    int rc = image_view_find(reg, id, NULL, arena, &v, err);

    if (rc < 0 && err->code == ERR_NO_IMAGE)
        return 0;
    if (rc == 1 && (!v.topmost || !digest_equal(&v.ids[0], id)))
        return 0;
    if (rc == 1)
        rc = tbl_manifest_get(kv_reads(reg->kv), v.repo, &v.manifest, r, err);
    if (rc == 1)
        rc = pull_document(reg, &v.manifest, r->size, arena, &p->document, err);
    if (rc != 1)
        return rc;
    if (manifest_parse(&m, p->document, r->media_type, arena, err) != 0)
        return -1;
    for (size_t i = 0; i < m.descriptors_n; i++)
        if (blob_mount(reg, p->repository, NULL, &m.descriptors[i].digest, err) < 0)
            return -1;
    p->digest = v.manifest;
    return 1;
}

/* The same as a push of the manifest that is there, by that tag. */
static int
tag_manifest(const struct registry *reg, const char *repository, const char *tag,
             const struct digest *id, const struct actor *actor, struct arena *arena,
             struct err *err)
{
    struct push p = {.repository = repository, .tags = &tag, .tags_n = 1, .actor = actor};
    struct rec_repo repo;
    struct rec_manifest r;
    char hex[DIGEST_TEXT_MAX];
    int rc = repository_find(reg, repository, &repo, err);

    if (rc == 1)
        rc = find_manifest(reg, repo.id, id, &p.digest, &r, err);
    if (rc == 1)
        rc = pull_document(reg, &p.digest, r.size, arena, &p.document, err);
    if (rc == 0)
        rc = bring(reg, id, &p, &r, arena, err);
    if (rc < 0)
        return -1;
    if (rc == 0) {
        digest_hex(hex, id);
        return err_set(err, ERR_NO_IMAGE, "Image not found: there is no image %s", hex);
    }
    p.content_type = r.media_type;
    return push_manifest(reg, &p, arena, err);
}

/* ---- either ---- */

int
image_tag_put(const struct registry *reg, const char *repository, const char *tag,
              const struct digest *id, const struct actor *actor, struct arena *arena,
              struct err *err)
{
    struct tagging g = {.reg = reg, .repository = repository, .tag = tag, .id = id, .actor = actor};
    int rc;

    g.chain = arena_array(arena, IMAGE_CHAIN_MAX, sizeof *g.chain);
    g.edges = arena_array(arena, IMAGE_CHAIN_MAX + 1, sizeof *g.edges);
    if (g.chain == NULL || g.edges == NULL)
        return err_set(err, ERR_SYSTEM, "no memory for an image's parents");
    /* Nobody makes a repository with a tag that names nothing. */
    if (image_chain(kv_reads(reg->kv), id, g.chain, &g.n, err) != 0)
        return err->code != ERR_NO_IMAGE
                   ? -1
                   : tag_manifest(reg, repository, tag, id, actor, arena, err);
    if (repository_ensure(reg, repository, &g.repo, err) != 0 || judge(&g, arena, err) != 0)
        return -1;
    rc = try(&g, err);
    for (int i = 1; i < PREHOOK_JUDGEMENTS_MAX && rc != 0 && (g.stale || g.unmade); i++)
        rc = g.stale && judge(&g, arena, err) != 0 ? -1 : try(&g, err);
    return rc;
}
