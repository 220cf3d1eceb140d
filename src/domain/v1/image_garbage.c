#include "domain/v1/image_garbage.h"
#include "domain/core/edge_batch.h"
#include "domain/core/lease.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_image.h"
#include "util/clock.h"

/* Images deleted in one transaction. Pushes wait for the pages that it locks. */
#define GROUP 25
/* Images of one chain that are collected at once. The jobs of the rest are found in the keeper's
 * next step. */
#define CHAIN_BATCH 100

/* The images of one transaction, in the order of their ids, each once. */
struct image_collection {
    const struct registry *reg;
    uint64_t now;
    struct job v[GROUP];
    size_t n;
    struct rec_image r[GROUP];
    bool is_gone[GROUP];       /* deleted by this transaction */
    bool is_late[GROUP];       /* its lease lasts longer than its job said */
    struct job parents[GROUP]; /* of the deleted images */
    size_t parents_n;
};

static int
compare_ids_of_jobs(const void *a, const void *b)
{
    const struct job *x = a, *y = b;

    return digest_compare(&x->digest, &y->digest);
}

static int
compare_layers(const void *a, const void *b)
{
    return digest_compare(a, b);
}

/* ---- the transaction, table by table ---- */

static int
look_at_images(struct txn *t, struct image_collection *c, struct err *err)
{
    int found[GROUP];

    for (size_t i = 0; i < c->n; i++) {
        found[i] = tbl_image_get_for_update(t, &c->v[i].digest, &c->r[i], err);
        if (found[i] < 0)
            return -1;
    }
    for (size_t i = 0; i < c->n; i++) {
        int kept = found[i] == 1 ? tbl_edge_kept(t, &c->v[i].digest, err) : 1;

        if (kept < 0)
            return -1;
        c->is_gone[i] = kept == 0 && c->r[i].leased_until <= c->now;
        c->is_late[i] = kept == 0 && !c->is_gone[i];
    }
    return 0;
}

/* The layers get a lease, like any blob that loses a keeper. */
static int
lease_layers(struct txn *t, const struct image_collection *c, struct err *err)
{
    struct digest layers[GROUP];
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++)
        if (c->is_gone[i] && c->r[i].layer.algo != DIGEST_NONE)
            layers[n++] = c->r[i].layer;
    qsort(layers, n, sizeof *layers, compare_layers);
    for (size_t i = 0; i < n; i++)
        if (lease_blob(t, c->reg, &layers[i], c->now, err) != 0)
            return -1;
    return 0;
}

/* The right of repositories to show the images, and what the images keep. */
static int
delete_edges(struct txn *t, const struct image_collection *c, struct err *err)
{
    struct edge_batch edges = {.n = 0};

    for (size_t i = 0; i < c->n; i++)
        if (c->is_gone[i] && tbl_edge_delete_all(t, &c->v[i].digest, err) != 0)
            return -1;
    for (size_t i = 0; i < c->n; i++) {
        struct edge e = {.kind = EDGE_IMAGE, .from = c->v[i].digest};

        if (!c->is_gone[i])
            continue;
        e.to = c->r[i].layer;
        if (e.to.algo != DIGEST_NONE)
            edge_batch_delete(&edges, e);
        e.to = c->r[i].parent;
        if (e.to.algo != DIGEST_NONE)
            edge_batch_delete(&edges, e);
    }
    return edge_batch_write(t, &edges, err);
}

/* The parents have leases of their own (image_find). */
static int
put_jobs(struct txn *t, struct image_collection *c, struct err *err)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct rec_image *r = &c->r[i];

        if (c->is_late[i] && lease_look_at(t, &c->v[i].digest, r->leased_until, err) != 0)
            return -1;
        if (c->is_gone[i] && r->layer.algo != DIGEST_NONE &&
            lease_look_at(t, &r->layer, c->now + c->reg->lease_ms, err) != 0)
            return -1;
        if (!c->is_gone[i] || r->parent.algo == DIGEST_NONE)
            continue;
        c->parents[c->parents_n++] =
            (struct job){.kind = JOB_COLLECT, .due = c->now, .digest = r->parent};
        if (lease_look_at(t, &r->parent, c->now, err) != 0)
            return -1;
    }
    return 0;
}

static int
collect_images(struct txn *t, void *arg, struct err *err)
{
    struct image_collection *c = arg;

    kv_relax(t);
    c->now = clock_wall_ms();
    c->parents_n = 0;
    if (look_at_images(t, c, err) != 0)
        return -1;
    for (size_t i = 0; i < c->n; i++)
        if (c->is_gone[i] && tbl_image_drop(t, &c->v[i].digest, err) != 0)
            return -1;
    for (size_t i = 0; i < c->n; i++)
        if (c->is_gone[i] && tbl_content_drop(t, &c->v[i].digest, err) != 0)
            return -1;
    if (lease_layers(t, c, err) != 0 || delete_edges(t, c, err) != 0)
        return -1;
    /* Before put_jobs: a parent can be in the group, too, and then its new job has the key of the
     * old one if both are due at the same moment. */
    for (size_t i = 0; i < c->n; i++)
        if (tbl_job_drop(t, &c->v[i], err) != 0)
            return -1;
    return put_jobs(t, c, err);
}

/* ---- chains ---- */

/* Goes on with the parents, each once. */
static void
take_parents(struct image_collection *c)
{
    c->n = 0;
    qsort(c->parents, c->parents_n, sizeof *c->parents, compare_ids_of_jobs);
    for (size_t i = 0; i < c->parents_n; i++)
        if (c->n == 0 || !digest_equal(&c->v[c->n - 1].digest, &c->parents[i].digest))
            c->v[c->n++] = c->parents[i];
}

int
image_garbage_collect(const struct registry *reg, const struct job *jobs, size_t n, struct err *err)
{
    struct image_collection c = {.reg = reg};

    for (size_t at = 0; at < n; at += GROUP) {
        c.n = n - at < GROUP ? n - at : GROUP;
        memcpy(c.v, jobs + at, c.n * sizeof *jobs);
        qsort(c.v, c.n, sizeof *c.v, compare_ids_of_jobs);
        /* The parents are looked at immediately, because chains are long. */
        for (int i = 0; i < CHAIN_BATCH && c.n > 0; i++) {
            if (txn_run(reg->kv, collect_images, &c, err) != 0)
                return -1;
            take_parents(&c);
        }
    }
    return 0;
}
