#include "domain/v1/image_garbage.h"
#include "domain/core/edge_batch.h"
#include "domain/core/garbage.h"
#include "domain/core/lease.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_image.h"

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

/* A listener that is told of each deleted image; fn NULL: there is none. */
struct image_listener {
    void (*fn)(const struct digest *id, void *arg);
    void *arg;
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
    c->now = garbage_now(c->reg);
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

static int
collect_with_parents(const struct registry *reg, const struct job *jobs, size_t n,
                     const struct image_listener *listener, struct err *err)
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
            for (size_t k = 0; k < c.n; k++)
                if (c.is_gone[k] && listener->fn != NULL)
                    listener->fn(&c.v[k].digest, listener->arg);
            take_parents(&c);
        }
    }
    return 0;
}

int
image_garbage_collect(const struct registry *reg, const struct job *jobs, size_t n, struct err *err)
{
    return collect_with_parents(reg, jobs, n, &(struct image_listener){NULL, NULL}, err);
}

/* ---- a round ---- */

struct image_page {
    uint64_t now;
    struct image_in_page {
        struct digest id, parent;
        uint64_t leased_until;
    } v[GROUP];
    size_t n;
};

static int
add_image_to_page(const struct digest *id, const struct rec_image *r, void *arg, struct err *err)
{
    struct image_page *p = arg;

    (void)err;
    if (p->n > 0 || !digest_equal(id, &p->v[0].id))
        p->v[p->n++] = (struct image_in_page){*id, r->parent, r->leased_until};
    return p->n == GROUP;
}

static void
tell_image(const struct digest *id, void *arg)
{
    struct garbage_round *round = arg;

    garbage_round_tell(round, &(struct garbage_item){.kind = GARBAGE_IMAGE, .digest = id});
}

/* In a dry run: the image counts as gone, and so do its ancestors that nothing else keeps. */
static int
pretend_image(struct garbage_round *round, struct image_in_page x, uint64_t now, struct err *err)
{
    struct rec_image r;
    int rc = 1;

    while (rc == 1 && x.leased_until <= now && gone_set_add(&round->gone, 0, &x.id)) {
        tell_image(&x.id, round);
        if (x.parent.algo == DIGEST_NONE)
            return 0;
        x.id = x.parent;
        rc = tbl_image_get(kv_reads(round->reg->kv), &x.id, &r, err);
        if (rc == 1) {
            x.parent = r.parent;
            x.leased_until = r.leased_until;
            rc = garbage_round_keeps(round, &x.id, err);
            rc = rc < 0 ? -1 : rc == 0;
        }
    }
    return rc < 0 ? -1 : 0;
}

static int
go_through_page(struct garbage_round *round, const struct image_page *p, struct err *err)
{
    const struct image_listener listener = {tell_image, round};
    struct job jobs[GROUP];
    size_t n = 0;
    int kept;

    for (size_t i = 0; i < p->n; i++) {
        const struct image_in_page *x = &p->v[i];

        kept = garbage_round_keeps(round, &x->id, err);
        if (kept < 0)
            return -1;
        if (kept == 0 && x->leased_until > p->now)
            garbage_round_tell(round, &(struct garbage_item){.kind = GARBAGE_IMAGE,
                                                             .digest = &x->id,
                                                             .until = x->leased_until});
        else if (kept == 0 && !round->dry_run)
            jobs[n++] = (struct job){.kind = JOB_COLLECT, .digest = x->id};
        else if (kept == 0 && pretend_image(round, *x, p->now, err) != 0)
            return -1;
    }
    return collect_with_parents(round->reg, jobs, n, &listener, err);
}

int
image_garbage_round(struct garbage_round *round, struct err *err)
{
    struct image_page p = {.n = GROUP};
    struct digest from = {.algo = DIGEST_V1_ID};

    while (p.n == GROUP && !garbage_round_is_over(round)) {
        p.n = 0;
        p.v[0].id = from;
        p.now = garbage_now(round->reg);
        if (tbl_image_each(kv_reads(round->reg->kv), &from, add_image_to_page, &p, err) != 0 ||
            go_through_page(round, &p, err) != 0)
            return -1;
        if (p.n > 0)
            from = p.v[p.n - 1].id;
    }
    return 0;
}
