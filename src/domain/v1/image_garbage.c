#include "domain/v1/image_garbage.h"
#include "domain/core/lease.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_image.h"
#include "util/clock.h"

/* Images of one chain that are collected at once. The jobs of the rest are found in the keeper's
 * next round. */
#define CHAIN_BATCH 100

struct image_collection {
    const struct registry *reg;
    struct job job;
    struct job parent; /* the next image to look at; DIGEST_NONE: there is none */
};

/* Deletes the image with its JSON, the right of repositories to show it, and its edges. Its layer
 * gets a lease, like any blob that loses a keeper. Its parent has a lease of its own
 * (image_find). */
static int
delete_image(struct txn *t, struct image_collection *c, const struct rec_image *r, uint64_t now,
             struct err *err)
{
    const struct digest *id = &c->job.digest;
    struct edge layer = {.to = r->layer, .kind = EDGE_IMAGE, .from = *id};
    struct edge parent = {.to = r->parent, .kind = EDGE_IMAGE, .from = *id};

    if (tbl_image_drop(t, id, err) != 0 || tbl_content_drop(t, id, err) != 0 ||
        lease_blob(t, c->reg, &r->layer, now, err) != 0 || tbl_edge_delete_all(t, id, err) != 0)
        return -1;
    if (r->layer.algo != DIGEST_NONE &&
        (tbl_edge_drop(t, &layer, err) != 0 ||
         lease_look_at(t, &r->layer, now + c->reg->lease_ms, err) != 0))
        return -1;
    if (r->parent.algo == DIGEST_NONE)
        return 0;
    c->parent = (struct job){.kind = JOB_COLLECT, .due = now, .digest = r->parent};
    if (tbl_edge_drop(t, &parent, err) != 0)
        return -1;
    return lease_look_at(t, &r->parent, now, err);
}

static int
collect_image(struct txn *t, void *arg, struct err *err)
{
    struct image_collection *c = arg;
    uint64_t now = clock_wall_ms();
    struct rec_image r;
    int found = tbl_image_get_for_update(t, &c->job.digest, &r, err);
    int kept = found == 1 ? tbl_edge_kept(t, &c->job.digest, err) : found;

    c->parent = (struct job){.digest = {.algo = DIGEST_NONE}};
    if (kept < 0)
        return -1;
    if (found == 1 && kept == 0 && r.leased_until <= now && delete_image(t, c, &r, now, err) != 0)
        return -1;
    if (tbl_job_drop(t, &c->job, err) != 0)
        return -1;
    if (found == 1 && kept == 0 && r.leased_until > now)
        return lease_look_at(t, &c->job.digest, r.leased_until, err);
    return 0;
}

int
image_garbage_collect(const struct registry *reg, const struct job *job, struct err *err)
{
    struct image_collection c = {.reg = reg, .parent = *job};

    /* The parent is looked at immediately, because chains are long and the keeper's rounds a minute
     * apart. */
    for (int i = 0; i < CHAIN_BATCH && c.parent.digest.algo != DIGEST_NONE; i++) {
        c.job = c.parent;
        if (txn_run(reg->kv, collect_image, &c, err) != 0)
            return -1;
    }
    return 0;
}
