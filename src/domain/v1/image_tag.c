#include "domain/v1/image_tag.h"
#include <stdbool.h>
#include "domain/core/blob.h"
#include "domain/core/edge_batch.h"
#include "domain/core/tag_move.h"
#include "domain/v1/conversion_job.h"
#include "domain/events/event.h"
#include "domain/v1/image.h"
#include "domain/v1/image_by_id.h"
#include "domain/v1/image_named.h"
#include "domain/v1/image_seen.h"
#include "domain/v1/converted.h"
#include "domain/core/manifest.h"
#include "domain/core/pull.h"
#include "domain/core/push.h"
#include "domain/core/quota.h"
#include "domain/core/repository.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_image.h"
#include "storage/tables/tbl_manifest.h"
#include "util/clock.h"

/* The tag's target is looked for this many times, while the image's manifest comes or goes. */
#define TARGETS_MAX 3

struct tagging {
    const struct registry *reg;
    const char *repository;
    const struct digest *id;
    struct rec_repo repo;
    struct digest *chain; /* the image and its ancestors; room for IMAGE_CHAIN_MAX */
    size_t n;
    struct tag_move move; /* to the image, or to the manifest made of it */
    struct rec_event told;
    bool changed; /* the manifest came or went during the transaction: find the target again */
};

/* Checks that the manifest still belongs to the image. */
static int
check_target(struct txn *t, struct tagging *g, struct err *err)
{
    struct digest id;
    int rc = converted_id(t, g->repo.id, &g->move.to, &id, err);

    if (rc < 0 || (rc == 1 && digest_equal(&id, g->id)))
        return rc < 0 ? -1 : 0;
    g->changed = true;
    return err_set(err, ERR_BUSY, "a manifest came and went while its image was tagged");
}

/* The layers of the chain count for the quotas of the repository. */
static int
count_chain_layers(struct txn *t, const struct tagging *g, bool is_new, struct err *err)
{
    struct quota_change change = {.set = quota_set_of(g->reg, g->repository)};
    struct rec_image r;

    for (size_t i = 0; i < g->n && is_new && change.set != 0; i++) {
        int rc = tbl_image_get(t, &g->chain[i], &r, err);

        if (rc < 0 || (rc == 1 && r.layer.algo != DIGEST_NONE &&
                       quota_count_blob(t, g->reg, &change, g->repo.id, &r.layer, err) != 0))
            return -1;
    }
    return quota_settle(t, g->reg, &change, false, err);
}

/* Moves the tag's edge, and gives the repository the right to show the image and its ancestors. The
 * rights of a chain are added together, so if the first one exists all do. */
static int
put_image_edges(struct txn *t, struct tagging *g, struct err *err)
{
    struct edge member = {.to = *g->id, .kind = EDGE_MEMBER, .repo = g->repo.id};
    struct edge_batch edges = {.n = 0};
    int has = tbl_edge_has(t, &member, err);

    if (has < 0)
        return -1;
    for (size_t i = 0; i < g->n && has == 0; i++) {
        member.to = g->chain[i];
        edge_batch_put(&edges, member);
    }
    return tag_move_edges(t, &g->move, &edges, err) != 0 ? -1
                                                         : count_chain_layers(t, g, has == 0, err);
}

/* A tag fixes an image as it is, so an image that its pusher may still change can't be tagged by
 * other users. */
static int
check_pushers(struct txn *t, const struct tagging *g, struct err *err)
{
    for (size_t i = 0; i < g->n; i++) {
        struct rec_image r;
        int rc = tbl_image_get(t, &g->chain[i], &r, err);

        if (rc < 0 || (rc == 1 && image_check_pusher(&r, g->move.actor, err) != 0))
            return -1;
    }
    return 0;
}

static int
put_image_tag(struct txn *t, void *arg, struct err *err)
{
    struct tagging *g = arg;
    struct tag_move *m = &g->move;
    struct rec_event e = g->told;

    g->changed = false;
    if (repository_enter(t, g->reg, g->repository, clock_wall_ms(), &g->repo, err) != 0)
        return -1;
    m->repo = g->repo.id;
    if (tag_move_records(t, m, err) != 0 || image_chain(t, g->id, g->chain, &g->n, err) != 0 ||
        check_pushers(t, g, err) != 0 || check_target(t, g, err) != 0 ||
        put_image_edges(t, g, err) != 0 ||
        (m->to.algo == DIGEST_V1_ID && conversion_job_later(t, g->id, m->now, err) != 0))
        return -1;
    if (m->to.algo != DIGEST_V1_ID)
        e.digest = m->to;
    return tag_move_events(t, m, &e, err);
}

/* If the repository has a manifest made of the image, the tag points to that. */
static int
move_image_tag(struct tagging *g, struct err *err)
{
    int rc = -1;

    g->changed = true;
    for (int i = 0; i < TARGETS_MAX && rc != 0 && g->changed; i++) {
        g->changed = false;
        rc = converted_find(kv_reads(g->reg->kv), g->repo.id, g->id, &g->move.to, err);
        if (rc < 0)
            return -1;
        g->move.to_derived = rc == 1;
        if (rc == 0)
            g->move.to = *g->id;
        rc = tag_move_run(&g->move, put_image_tag, g, err);
    }
    return rc;
}

/* ---- what the second API has pushed ---- */

/* Finds the first manifest by its id, which isn't only that of an ancestor. repo: 0 for any. 1, 0,
 * -1. */
static int
find_named(const struct registry *reg, const struct actor *actor, uint64_t repo,
           const struct digest *id, struct image_named *named, struct err *err)
{
    struct image_named_list list;

    if (image_named_read(reg, actor, repo, id, &list, err) != 0)
        return -1;
    for (size_t i = 0; i < list.n; i++)
        if (list.v[i].is_own) {
            *named = list.v[i];
            return 1;
        }
    return 0;
}

/* Finds the manifest of that repository to which a tag by the id leads: a proven one, or the one
 * that the id shows. 1, 0, -1. */
static int
find_manifest(const struct registry *reg, const struct actor *actor, uint64_t repo,
              const struct digest *id, struct arena *arena, struct digest *manifest,
              struct err *err)
{
    struct image_named named;
    struct image_view v;
    int rc = find_named(reg, actor, repo, id, &named, err);

    if (rc == 1 && !named.is_proven) {
        rc = image_by_id_find(reg, actor, id, NULL, arena, &v, err);
        if (rc < 0 && err->code == ERR_NO_IMAGE)
            rc = 0;
        if (rc == 1)
            rc = v.repo == repo && digest_equal(&v.manifest, &named.manifest);
    }
    if (rc == 1)
        *manifest = named.manifest;
    return rc;
}

/* A client that pulled an image from one repository and pushes it to another sends none of it,
 * because it exists here by its id. This gives the repository the same blobs, so that the manifest
 * can be pushed to it. 1, 0, -1. */
static int
bring(const struct registry *reg, const struct digest *id, struct push *p, struct rec_manifest *r,
      struct arena *arena, struct err *err)
{
    struct image_view v;
    struct manifest m;
    int rc = image_by_id_find(reg, p->actor, id, NULL, arena, &v, err);

    if (rc < 0 && err->code == ERR_NO_IMAGE)
        return 0;
    if (rc == 1 && (!v.topmost || !digest_equal(&v.ids[0], id)))
        return 0;
    if (rc == 1)
        rc = image_by_id_prove(reg, &v, err);
    if (rc == 1)
        rc = tbl_manifest_get(kv_reads(reg->kv), v.repo, &v.manifest, r, err);
    if (rc == 1)
        rc = pull_document(reg, &v.manifest, r->size, arena, &p->document, err);
    if (rc != 1)
        return rc;
    if (manifest_parse(&m, p->document, r->media_type, arena, err) != 0)
        return -1;
    for (size_t i = 0; i < m.descriptors_n; i++)
        if (blob_mount(reg, p->actor, p->repository, NULL, &m.descriptors[i].digest, err) < 0)
            return -1;
    p->digest = v.manifest;
    return 1;
}

/* Does the same as a push of the existing manifest with that tag. */
static int
tag_manifest(const struct registry *reg, const char *repository, const char *tag,
             const struct digest *id, const struct condition *condition, const struct actor *actor,
             struct arena *arena, struct err *err)
{
    struct push p = {.repository = repository,
                     .tags = &tag,
                     .tags_n = 1,
                     .actor = actor,
                     .tag_condition = condition};
    struct rec_repo repo;
    struct rec_manifest r;
    char hex[DIGEST_TEXT_MAX];
    int rc = repository_find(reg, repository, &repo, err);

    if (rc == 1)
        rc = find_manifest(reg, actor, repo.id, id, arena, &p.digest, err);
    if (rc == 1)
        rc = tbl_manifest_get(kv_reads(reg->kv), repo.id, &p.digest, &r, err);
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
image_tag_put_own(const struct registry *reg, const char *repository, const char *tag,
                  const struct digest *id, const struct condition *condition,
                  const struct actor *actor, struct arena *arena, struct err *err)
{
    struct tagging g = {.reg = reg, .repository = repository, .id = id};
    struct tag_move_tag one = {.name = tag};
    int rc;

    g.chain = arena_array(arena, IMAGE_CHAIN_MAX, sizeof *g.chain);
    if (g.chain == NULL)
        return arena_full(err);
    rc = image_seen(reg, actor, id, IMAGE_BUILD_UPON, err);
    if (rc != 1)
        return rc < 0 ? -1 : err_set(err, ERR_NO_IMAGE, "Image not found");
    if (image_chain(kv_reads(reg->kv), id, g.chain, &g.n, err) != 0)
        return -1;
    if (repository_look(reg, repository, &g.repo, err) != 0)
        return -1;
    g.told = event_of(EVENT_TAG, repository, actor);
    g.told.id = *id;
    g.move = (struct tag_move){.reg = reg,
                               .repo = g.repo.id,
                               .repository = repository,
                               .actor = actor,
                               .tags = &one,
                               .n = 1,
                               .condition = condition,
                               .told = &g.told,
                               .arena = arena};
    /* The pre-hook gets the image's JSON in place of a manifest. */
    if (image_json(reg, id, arena, &g.move.document, err) != 0)
        return -1;
    return move_image_tag(&g, err);
}

int
image_tag_put(const struct registry *reg, const char *repository, const char *tag,
              const struct digest *id, const struct condition *condition, const struct actor *actor,
              struct arena *arena, struct err *err)
{
    struct image_named named;
    struct rec_image r;
    struct err ignored;
    int rc = find_named(reg, actor, 0, id, &named, err);

    if (rc < 0)
        return -1;
    if (rc == 1) {
        rc = tag_manifest(reg, repository, tag, id, condition, actor, arena, err);
        /* It may be a v1 image, too, that was made of a manifest which has gone here. */
        if (rc == 0 || err->code != ERR_NO_IMAGE ||
            tbl_image_get(kv_reads(reg->kv), id, &r, &ignored) != 1)
            return rc;
    }
    return image_tag_put_own(reg, repository, tag, id, condition, actor, arena, err);
}
