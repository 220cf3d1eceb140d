#include "domain/core/explain.h"
#include "domain/core/pull.h"
#include "domain/core/repository.h"
#include "domain/core/trash.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_image.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_trash.h"

/* Edges that are visited at once, because their page is locked meanwhile. */
#define VISITS_MAX 500
/* Bytes of memory for a document. */
#define DOCUMENT_MEMORY (16u << 20)

/* ---- edges ---- */

struct edge_counting {
    struct explain *out;
    struct edge last;
    char tag[RECORD_TAG_MAX + 1];
    size_t visits;
};

static void
copy_explained_edge(struct edge *edge, char tag[RECORD_TAG_MAX + 1], const struct edge *e)
{
    *edge = *e;
    snprintf(tag, RECORD_TAG_MAX + 1, "%s", e->tag != NULL ? e->tag : "");
    if (e->tag != NULL)
        edge->tag = tag;
}

static int
count_explained_edge(const struct edge *e, void *arg, struct err *err)
{
    struct edge_counting *c = arg;
    struct explain *x = c->out;
    size_t *n;

    (void)err;
    copy_explained_edge(&c->last, c->tag, e);
    if (e->kind < EXPLAIN_KINDS) {
        n = &x->edges_n[e->kind];
        x->counts[e->kind]++;
        if (*n < EXPLAIN_FIRST) {
            copy_explained_edge(&x->edges[e->kind][*n].edge, x->edges[e->kind][*n].tag, e);
            ++*n;
        }
    }
    return ++c->visits == VISITS_MAX;
}

static int
count_explained_edges(const struct registry *reg, struct explain *x, struct err *err)
{
    struct edge_counting c = {.out = x, .visits = VISITS_MAX};
    bool first = true;

    while (c.visits == VISITS_MAX) {
        struct edge after = c.last;
        char tag[RECORD_TAG_MAX + 1];

        memcpy(tag, c.tag, sizeof tag);
        if (after.tag != NULL)
            after.tag = tag;
        c.visits = 0;
        if (tbl_edge_each_behind(kv_reads(reg->kv), &x->digest, first ? NULL : &after,
                                 count_explained_edge, &c, err) != 0)
            return -1;
        first = false;
    }
    return 0;
}

static int
complete_edge(const struct registry *reg, struct explain_edge *e, struct err *err)
{
    const struct digest *trashed = e->edge.kind == EDGE_TRASHED ? &e->edge.to : &e->edge.from;

    if (e->edge.tag != NULL)
        e->edge.tag = e->tag;
    if (e->edge.repo != 0 && repository_name(reg, e->edge.repo, e->repository, err) < 0)
        return -1;
    e->until = e->edge.until;
    if (e->edge.kind != EDGE_TRASHED && e->edge.kind != EDGE_TRASH_PART)
        return 0;
    return trash_until(reg, e->edge.repo, trashed, &e->until, err);
}

/* ---- records ---- */

/* Parses a manifest of a repository into m, in the arena. 1, 0, -1. */
static int
read_parsed_manifest(const struct registry *reg, uint64_t repo, const struct digest *d,
                     struct rec_manifest *r, struct manifest *m, struct arena *arena,
                     struct err *err)
{
    struct bytes document;
    int rc = tbl_manifest_get(kv_reads(reg->kv), repo, d, r, err);

    if (rc == 1)
        rc = pull_document(reg, d, r->size, arena, &document, err);
    if (rc == 1)
        rc = manifest_parse(m, document, r->media_type, arena, err) == 0 ? 1 : -1;
    return rc;
}

static int
explain_manifest_in(const struct registry *reg, uint64_t repo, struct explain *x, struct err *err)
{
    static const struct digest none = {.algo = DIGEST_NONE};
    struct explain_manifest *m = &x->manifests[x->manifests_n];
    struct manifest parsed = {.has_subject = false};
    struct arena arena;
    int rc;

    if (repository_name(reg, repo, m->repository, err) < 0)
        return -1;
    arena_init(&arena, DOCUMENT_MEMORY);
    rc = read_parsed_manifest(reg, repo, &x->digest, &m->record, &parsed, &arena, err);
    if (rc == 1 &&
        reach_find(kv_reads(reg->kv), repo, &x->digest,
                   parsed.has_subject ? &parsed.subject : &none, NULL, &m->reach, err) < 0)
        rc = -1;
    arena_reset(&arena);
    if (m->reach.kind == REACH_HISTORY)
        m->reach.until = reach_end_of_history(reg, m->reach.until);
    x->manifests_n += rc == 1;
    return rc < 0 ? -1 : 0;
}

/* The first manifest that keeps a blob knows whether it is a config. */
static int
find_part(const struct registry *reg, struct explain *x, struct err *err)
{
    const struct edge *e = &x->edges[EDGE_PART][0].edge;
    struct manifest m = {.descriptors_n = 0};
    struct rec_manifest r;
    struct arena arena;
    int rc;

    if (x->edges_n[EDGE_PART] == 0)
        return 0;
    arena_init(&arena, DOCUMENT_MEMORY);
    rc = read_parsed_manifest(reg, e->repo, &e->from, &r, &m, &arena, err);
    x->is_config = rc == 1 && digest_equal(&m.config, &x->digest);
    arena_reset(&arena);
    return rc < 0 ? -1 : 0;
}

static int
read_trashed_size(const struct registry *reg, struct explain *x, struct err *err)
{
    struct rec_trash r;
    int rc = x->edges_n[EDGE_TRASHED] == 0
                 ? 0
                 : tbl_trash_get(kv_reads(reg->kv), x->edges[EDGE_TRASHED][0].edge.repo, &x->digest,
                                 &r, err);

    x->trashed_size = rc == 1 ? r.manifest.size : 0;
    return rc < 0 ? -1 : 0;
}

static int
read_records(const struct registry *reg, struct explain *x, struct err *err)
{
    struct txn *t = kv_reads(reg->kv);
    int rc;

    if (x->digest.algo == DIGEST_V1_ID) {
        rc = tbl_image_get(t, &x->digest, &x->image, err);
        x->is_image = rc == 1;
        return rc < 0 ? -1 : 0;
    }
    rc = tbl_blob_get(t, &x->digest, &x->blob, err);
    x->is_blob = rc == 1;
    return rc < 0 || read_trashed_size(reg, x, err) != 0 ? -1 : find_part(reg, x, err);
}

bool
explain_is_kept(const struct explain *x)
{
    for (size_t kind = 0; kind < EDGE_KEEPS_END; kind++)
        if (x->counts[kind] > 0)
            return true;
    return false;
}

int
explain_digest(const struct registry *reg, const struct digest *d, struct explain *out,
               struct err *err)
{
    *out = (struct explain){.digest = *d};
    if (count_explained_edges(reg, out, err) != 0 || read_records(reg, out, err) != 0)
        return -1;
    for (size_t kind = 0; kind < EXPLAIN_KINDS; kind++)
        for (size_t i = 0; i < out->edges_n[kind]; i++)
            if (complete_edge(reg, &out->edges[kind][i], err) != 0)
                return -1;
    for (size_t i = 0; i < out->edges_n[EDGE_HELD]; i++)
        if (explain_manifest_in(reg, out->edges[EDGE_HELD][i].edge.repo, out, err) != 0)
            return -1;
    return out->is_blob || out->is_image || out->manifests_n > 0 || explain_is_kept(out);
}
