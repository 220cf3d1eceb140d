#include "domain/v1/image_of_manifest.h"
#include "domain/core/edge_batch.h"
#include "domain/core/lease.h"
#include "domain/v1/image.h"
#include "domain/v1/image_by_id.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_image.h"
#include "util/arena.h"
#include "util/clock.h"

#define MEMORY_MAX (64u << 20)

struct one {
    struct digest id;
    struct digest parent; /* DIGEST_NONE for the lowest */
    struct digest layer;
    struct bytes json;
    bool is_written;      /* there was none, or another one */
    struct rec_image was; /* all zero: there was none */
};

struct adoption {
    const struct registry *reg;
    const struct digest *id;
    const struct actor *actor;
    struct one *v; /* in the order of their ids */
    size_t n;
    struct digest *layers; /* from the top down; a layer may occur twice */
};

/* ---- before the transaction ---- */

static int
by_id(const void *a, const void *b)
{
    return digest_compare(&((const struct one *)a)->id, &((const struct one *)b)->id);
}

/* The view of the i-th image below it. */
static struct image_view
below(const struct image_view *v, size_t i)
{
    struct image_view b = *v;

    b.ids += i;
    b.layers += i;
    b.n -= i;
    b.layer -= i;
    b.topmost = v->topmost && i == 0;
    return b;
}

/* 1; 0: a layer isn't in the store; -1. */
static int
collect(struct adoption *a, const struct image_view *v, struct arena *arena, struct err *err)
{
    a->n = v->n;
    a->v = arena_array(arena, v->n, sizeof *a->v);
    a->layers = arena_array(arena, v->n, sizeof *a->layers);
    if (a->v == NULL || a->layers == NULL)
        return arena_full(err);
    for (size_t i = 0; i < v->n; i++) {
        struct image_view b = below(v, i);
        char path[BLOB_FILE_PATH_MAX];
        uint64_t size;
        int rc =
            b.layers[0].algo != DIGEST_NONE ? image_view_layer(a->reg, &b, &size, path, err) : 0;

        if (rc != 1)
            return rc;
        a->layers[i] = b.layers[0];
        a->v[i] = (struct one){.id = b.ids[0], .layer = b.layers[0]};
        if (b.n > 1)
            a->v[i].parent = b.ids[1];
        if (image_view_json(&b, arena, &a->v[i].json, err) != 0)
            return -1;
    }
    qsort(a->v, a->n, sizeof *a->v, by_id);
    qsort(a->layers, a->n, sizeof *a->layers, digest_order);
    return 1;
}

/* ---- the transaction, table by table ---- */

/* A v1 image that was pushed under one of the ids isn't shown (image_by_id.h). It is replaced,
 * unless it is the same. */
static int
put_records(struct txn *t, struct adoption *a, uint64_t now, struct err *err)
{
    for (size_t i = 0; i < a->n; i++) {
        struct one *o = &a->v[i];
        struct rec_image r = {.state = IMAGE_COMPLETE,
                              .parent = o->parent,
                              .layer = o->layer,
                              .created = now,
                              .leased_until = now + a->reg->lease_ms};
        int rc = tbl_image_get_for_update(t, &o->id, &o->was, err);

        if (rc < 0)
            return -1;
        if (rc == 0)
            o->was = (struct rec_image){.layer = {.algo = DIGEST_NONE}};
        o->is_written = rc == 0 || o->was.state != IMAGE_COMPLETE ||
                        !digest_equal(&o->was.layer, &o->layer) ||
                        !digest_equal(&o->was.parent, &o->parent);
        snprintf(r.by, sizeof r.by, "%s", a->actor->user);
        if (o->is_written && o->was.parent.algo != DIGEST_NONE &&
            image_lease(t, a->reg, &o->was.parent, now, err) != 0)
            return -1;
        if (o->is_written && tbl_image_put(t, &o->id, &r, err) != 0)
            return -1;
    }
    for (size_t i = 0; i < a->n; i++)
        if (a->v[i].is_written && tbl_content_put(t, &a->v[i].id, a->v[i].json, err) != 0)
            return -1;
    return 0;
}

static void
collect_edge(struct edge_batch *edges, const struct one *o, const struct digest *was,
             const struct digest *is)
{
    if (digest_equal(was, is))
        return;
    if (was->algo != DIGEST_NONE)
        edge_batch_delete(edges, (struct edge){.to = *was, .kind = EDGE_IMAGE, .from = o->id});
    if (is->algo != DIGEST_NONE)
        edge_batch_put(edges, (struct edge){.to = *is, .kind = EDGE_IMAGE, .from = o->id});
}

/* The replaced record may have been the only one that kept its layer or its parent. */
static int
look_at_replaced(struct txn *t, const struct adoption *a, uint64_t when, struct err *err)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct rec_image *was = &a->v[i].was;

        if (!a->v[i].is_written)
            continue;
        if ((was->layer.algo != DIGEST_NONE && lease_look_at(t, &was->layer, when, err) != 0) ||
            (was->parent.algo != DIGEST_NONE && lease_look_at(t, &was->parent, when, err) != 0))
            return -1;
    }
    return 0;
}

/* The records that this reads remain locked until the commit, so none is collected meanwhile. */
static int
check_layers(struct txn *t, const struct adoption *a, struct err *err)
{
    for (size_t i = 0; i < a->n; i++) {
        struct rec_blob r;
        int rc = tbl_blob_get(t, &a->layers[i], &r, err);

        if (rc != 1)
            return rc < 0 ? -1 : err_set(err, ERR_NO_IMAGE, "an image's layer has just gone");
    }
    return 0;
}

static int
adopt(struct txn *t, void *arg, struct err *err)
{
    struct adoption *a = arg;
    uint64_t now = clock_wall_ms();
    struct edge_batch edges = {.n = 0};

    if (put_records(t, a, now, err) != 0 || check_layers(t, a, err) != 0)
        return -1;
    for (size_t i = 0; i < a->n; i++) {
        const struct one *o = &a->v[i];

        if (!o->is_written)
            continue;
        if (lease_blob(t, a->reg, &o->was.layer, now, err) != 0)
            return -1;
        collect_edge(&edges, o, &o->was.layer, &o->layer);
        collect_edge(&edges, o, &o->was.parent, &o->parent);
    }
    if (edge_batch_write(t, &edges, err) != 0)
        return -1;
    /* Nothing keeps it yet, so a job looks at it at the end of its lease. */
    return look_at_replaced(t, a, now + a->reg->lease_ms, err) == 0
               ? lease_look_at(t, a->id, now + a->reg->lease_ms, err)
               : -1;
}

/* ---- around it ---- */

int
image_of_manifest_adopt(const struct registry *reg, const struct digest *id,
                        const struct actor *actor, struct err *err)
{
    struct adoption a = {.reg = reg, .id = id, .actor = actor};
    struct image_view v;
    struct arena arena;
    int rc;

    arena_init(&arena, MEMORY_MAX);
    rc = image_by_id_find(reg, actor, id, NULL, &arena, &v, err);
    if (rc == 1)
        rc = image_by_id_prove(reg, &v, err);
    if (rc == 1)
        rc = digest_equal(&v.ids[0], id) ? collect(&a, &v, &arena, err) : 0;
    if (rc == 1)
        rc = txn_run(reg->kv, adopt, &a, err) == 0 ? 1 : -1;
    if (rc < 0 && err->code == ERR_NO_IMAGE)
        rc = 0;
    arena_reset(&arena);
    return rc;
}
