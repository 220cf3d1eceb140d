#include "domain/check/check_manifests.h"
#include "domain/core/index_place.h"
#include "domain/check/check_document.h"
#include "domain/core/edge_batch.h"
#include "domain/inside/index_job.h"
#include "storage/layers/index_file.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_damage.h"
#include "storage/tables/tbl_image.h"
#include "storage/tables/tbl_manifest.h"
#include "util/clock.h"

static int
each_edge_of(struct check *c, struct txn *t, const struct check_entry *e,
             check_manifest_edge_fn *fn, void *arg, struct err *err)
{
    const struct manifest *m;
    struct bytes text;
    bool trashed = e->table == TABLE_TRASH;
    struct edge edge = {
        .repo = e->repo, .to = e->digest, .kind = trashed ? EDGE_TRASHED : EDGE_HELD};
    int known = check_document_get(c, t, e, &m, &text, err);
    int rc = known < 0 ? -1 : fn(c, t, &edge, arg, err);

    edge.from = e->digest;
    edge.to = check_entry_manifest(e)->made_from;
    edge.kind = trashed ? EDGE_TRASH_PART : EDGE_MADE;
    if (rc == 0 && edge.to.algo != DIGEST_NONE)
        rc = fn(c, t, &edge, arg, err);
    if (rc != 0 || known != 1)
        return rc;
    if (!trashed)
        edge.kind = m->media_type->kind == DOCUMENT_INDEX ? EDGE_CHILD : EDGE_PART;
    for (size_t i = 0; rc == 0 && i < m->descriptors_n; i++) {
        edge.to = m->descriptors[i].digest;
        rc = fn(c, t, &edge, arg, err);
    }
    edge.to = m->subject;
    edge.kind = EDGE_SUBJECT;
    return rc == 0 && m->has_subject && !trashed ? fn(c, t, &edge, arg, err) : rc;
}

/* ---- the document ---- */

int
check_manifest_has_document(struct check *c, struct txn *t, const struct check_entry *e,
                            struct err *err)
{
    const struct manifest *m;
    struct bytes text;
    int rc = check_document_get(c, t, e, &m, &text, err);

    return rc == 2 ? 1 : rc;
}

/* ---- its edges ---- */

static int
look_for_edge(struct check *c, struct txn *t, const struct edge *edge, void *arg, struct err *err)
{
    static const char *const whats[] = {
        [EDGE_HELD] = "itself",        [EDGE_CHILD] = "its child",
        [EDGE_PART] = "its part",      [EDGE_MADE] = "the image that it was made of",
        [EDGE_TRASHED] = "itself",     [EDGE_TRASH_PART] = "its part",
        [EDGE_SUBJECT] = "its subject"};
    char text[DIGEST_TEXT_MAX];
    int rc = tbl_edge_has(t, edge, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    *(bool *)arg = true;
    digest_text(text, &edge->to);
    check_fails(c, "no edge tells that it has %s %s", whats[edge->kind], text);
    return 1;
}

int
check_manifest_has_edges(struct check *c, struct txn *t, const struct check_entry *e,
                         struct err *err)
{
    bool lacks = false;

    return each_edge_of(c, t, e, look_for_edge, &lacks, err) < 0 ? -1 : !lacks;
}

static int
add_edge(struct check *c, struct txn *t, const struct edge *edge, void *arg, struct err *err)
{
    (void)c;
    (void)t;
    (void)err;
    edge_batch_put(arg, *edge);
    return 0;
}

int
check_manifest_put_edges(struct check *c, struct txn *t, const struct check_entry *e,
                         struct err *err)
{
    struct edge_batch edges = {.n = 0};
    int rc = each_edge_of(c, t, e, add_edge, &edges, err);

    return edge_batch_write(t, &edges, err) != 0 || rc < 0 ? -1 : 0;
}

/* ---- its parts ---- */

/* Parts of an index aren't looked at: a client may delete a manifest that an index names. */
int
check_manifest_each_part(struct check *c, struct txn *t, const struct check_entry *e,
                         check_manifest_edge_fn *fn, void *arg, struct err *err)
{
    struct edge member = {.kind = EDGE_MEMBER, .repo = e->repo};
    const struct manifest *m;
    struct bytes text;
    int rc = check_document_get(c, t, e, &m, &text, err);

    if (rc != 1 || m->media_type->kind == DOCUMENT_INDEX)
        return rc < 0 ? -1 : 0;
    rc = 0;
    for (size_t i = 0; rc == 0 && i < m->descriptors_n; i++) {
        member.to = m->descriptors[i].digest;
        if (!m->descriptors[i].elsewhere)
            rc = fn(c, t, &member, arg, err);
    }
    return rc;
}

/* Is the blob there, or known to be missing? 1, 0, -1. */
static int
is_known_part(struct txn *t, const struct digest *d, struct err *err)
{
    struct rec_damage damage;
    struct rec_blob r;
    int rc = tbl_blob_get(t, d, &r, err);

    return rc == 0 ? tbl_damage_get(t, d, &damage, err) : rc;
}

static int
look_for_part(struct check *c, struct txn *t, const struct edge *member, void *arg, struct err *err)
{
    char text[DIGEST_TEXT_MAX];
    int rc = is_known_part(t, &member->to, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    *(bool *)arg = true;
    digest_text(text, &member->to);
    check_fails(c, "its part %s is missing", text);
    return 1;
}

int
check_manifest_has_parts(struct check *c, struct txn *t, const struct check_entry *e,
                         struct err *err)
{
    bool lacks = false;

    return check_manifest_each_part(c, t, e, look_for_part, &lacks, err) < 0 ? -1 : !lacks;
}

static int
await_part(struct check *c, struct txn *t, const struct edge *member, void *arg, struct err *err)
{
    struct rec_damage r = {.state = DAMAGE_WAITS,
                           .found = clock_wall_ms(),
                           .was_layer = true,
                           .why = "its record is missing"};
    int rc = is_known_part(t, &member->to, err);

    (void)c;
    (void)arg;
    return rc == 0 ? tbl_damage_put(t, &member->to, &r, err) : rc < 0 ? -1 : 0;
}

int
check_manifest_await_parts(struct check *c, struct txn *t, const struct check_entry *e,
                           struct err *err)
{
    return check_manifest_each_part(c, t, e, await_part, NULL, err);
}

static int
look_for_right(struct check *c, struct txn *t, const struct edge *member, void *arg,
               struct err *err)
{
    char text[DIGEST_TEXT_MAX];
    struct rec_blob r;
    int rc = tbl_blob_get(t, &member->to, &r, err);

    if (rc != 1)
        return rc;
    rc = tbl_edge_has(t, member, err);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    *(bool *)arg = true;
    digest_text(text, &member->to);
    check_fails(c, "the repository has no right to its part %s", text);
    return 1;
}

int
check_manifest_may_serve(struct check *c, struct txn *t, const struct check_entry *e,
                         struct err *err)
{
    bool lacks = false;

    return check_manifest_each_part(c, t, e, look_for_right, &lacks, err) < 0 ? -1 : !lacks;
}

int
check_manifest_give_rights(struct check *c, struct txn *t, const struct check_entry *e,
                           struct err *err)
{
    struct edge_batch edges = {.n = 0};
    int rc = check_manifest_each_part(c, t, e, add_edge, &edges, err);

    return edge_batch_write(t, &edges, err) != 0 || rc < 0 ? -1 : 0;
}

int
check_manifest_has_image(struct check *c, struct txn *t, const struct check_entry *e,
                         struct err *err)
{
    const struct digest *id = &e->r.manifest.made_from;
    char text[DIGEST_TEXT_MAX];
    struct rec_image r;
    int rc = id->algo != DIGEST_NONE ? tbl_image_get(t, id, &r, err) : 1;

    if (rc != 0)
        return rc;
    digest_text(text, id);
    return check_fails(c, "the image %s that it was made of is missing", text);
}

/* ---- the indexes of its layers ---- */

/* Were its layers indexed once? Then its ids in the first API were compared with them
 * (manifest_ids.h). The layers of an imported image are indexed at the first look into it. 1, 0,
 * -1. */
static int
was_indexed(struct txn *t, const struct check_entry *e, struct err *err)
{
    static const enum edge_kind kinds[] = {EDGE_ID_PROVEN, EDGE_ID_UNSURE};
    struct edge id = {.to = e->r.manifest.id, .repo = e->repo, .from = e->digest};
    int rc = 0;

    if (id.to.algo != DIGEST_SHA256)
        return 0;
    id.to.algo = DIGEST_V1_ID;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && rc == 0; i++) {
        id.kind = kinds[i];
        rc = tbl_edge_has(t, &id, err);
    }
    return rc;
}

/* Not for blobs that are missing, nor for indexes that are asked for. 1, 0, -1. */
static int
lacks_index(struct check *c, struct txn *t, const struct digest *layer, struct err *err)
{
    struct rec_damage damage;
    struct rec_blob r;
    int rc = index_store_has(index_place(c->reg), layer, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    rc = tbl_blob_get(t, layer, &r, err);
    if (rc == 1)
        rc = index_job_is_asked(c->reg, layer, err);
    else
        rc = rc < 0 ? -1 : 1;
    if (rc == 0)
        rc = tbl_damage_get(t, layer, &damage, err);
    return rc < 0 ? -1 : rc == 0;
}

static int
look_for_index(struct check *c, struct txn *t, const struct edge *member, void *arg,
               struct err *err)
{
    const struct digest *config = arg;
    char text[DIGEST_TEXT_MAX];
    int rc = digest_equal(&member->to, config) ? 0 : lacks_index(c, t, &member->to, err);

    if (rc != 1)
        return rc;
    digest_text(text, &member->to);
    check_fails(c, "its layer %s has no index", text);
    return 1;
}

int
check_manifest_has_indexes(struct check *c, struct txn *t, const struct check_entry *e,
                           struct err *err)
{
    const struct manifest *m;
    struct bytes text;
    struct digest config;
    int rc = was_indexed(t, e, err);

    if (rc == 1)
        rc = check_document_get(c, t, e, &m, &text, err);
    if (rc < 0)
        return -1;
    if (rc != 1 || !m->is_image)
        return 1;
    config = m->config;
    rc = check_manifest_each_part(c, t, e, look_for_index, &config, err);
    return rc < 0 ? -1 : rc == 0;
}

static int
demand_index(struct check *c, struct txn *t, const struct edge *member, void *arg, struct err *err)
{
    const struct digest *config = arg;
    int rc = digest_equal(&member->to, config) ? 0 : lacks_index(c, t, &member->to, err);

    return rc == 1 ? index_job_demand(c->reg, &member->to, NULL, err) : rc;
}

int
check_manifest_ask_indexes(struct check *c, struct txn *t, const struct check_entry *e,
                           struct err *err)
{
    struct digest config = e->r.manifest.id;

    (void)t;
    return check_manifest_each_part(c, kv_reads(c->reg->kv), e, demand_index, &config, err);
}

/* ---- documents without a manifest ---- */

int
check_manifest_has_text(struct check *c, struct txn *t, const struct check_entry *e,
                        struct err *err)
{
    struct rec_image r;
    int rc = e->digest.algo == DIGEST_V1_ID ? tbl_image_get(t, &e->digest, &r, err)
                                            : tbl_edge_any(t, &e->digest, EDGE_HELD, err);

    if (rc == 0 && e->digest.algo != DIGEST_V1_ID) /* it can come back */
        rc = tbl_edge_any(t, &e->digest, EDGE_TRASHED, err);
    return rc == 0 ? check_fails(c, "a document that belongs to nothing") : rc;
}
