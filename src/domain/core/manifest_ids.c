#include "domain/core/manifest_ids.h"
#include "domain/core/chain_id.h"
#include "domain/core/foreign_images.h"

int
manifest_ids_read(const struct registry *reg, const struct manifest *m, const struct digest *d,
                  struct arena *arena, struct manifest_ids *ids, struct err *err)
{
    /* An image has no descriptors but its config and its layers. */
    size_t layers = m->is_image ? m->descriptors_n - 1 : 0;
    struct digest *chain = NULL;

    if (m->is_image && chain_id_read(reg, &m->config, layers, arena, &chain, err) < 0)
        return -1;
    *ids = (struct manifest_ids){.certain = !m->is_image, .chain = chain};
    return reg->foreign->ids_of_manifest(m, d, chain, chain != NULL ? layers : 0, arena, &ids->v,
                                         &ids->n, err);
}

static struct edge
edge_of_id(const struct digest *id, enum edge_kind kind, uint64_t repo,
           const struct digest *manifest)
{
    return (struct edge){.to = *id, .kind = kind, .repo = repo, .from = *manifest};
}

void
manifest_ids_put(struct edge_batch *edges, const struct manifest_ids *ids, uint64_t repo,
                 const struct digest *manifest)
{
    enum edge_kind kind = ids->certain ? EDGE_ID_PROVEN : EDGE_ID;

    if (ids->n > 0)
        edge_batch_put(edges, edge_of_id(&ids->v[0], EDGE_ID_OWN, repo, manifest));
    for (size_t i = 0; i < ids->n; i++)
        edge_batch_put(edges, edge_of_id(&ids->v[i], kind, repo, manifest));
}

void
manifest_ids_delete(struct edge_batch *edges, const struct manifest_ids *ids, uint64_t repo,
                    const struct digest *manifest)
{
    static const enum edge_kind KINDS[] = {EDGE_ID, EDGE_ID_PROVEN, EDGE_ID_UNSURE};

    if (ids->n > 0)
        edge_batch_delete(edges, edge_of_id(&ids->v[0], EDGE_ID_OWN, repo, manifest));
    for (size_t i = 0; i < ids->n; i++)
        for (size_t k = 0; k < sizeof KINDS / sizeof KINDS[0]; k++)
            edge_batch_delete(edges, edge_of_id(&ids->v[i], KINDS[k], repo, manifest));
}

/* With other layers than its config tells of, a manifest has no right to the digest of the config
 * either. */
static int
settle_id(struct txn *t, uint64_t repo, const struct digest *manifest, const struct judged_id *x,
          struct err *err)
{
    struct edge claimed = edge_of_id(&x->id, EDGE_ID, repo, manifest);
    struct edge own = edge_of_id(&x->id, EDGE_ID_OWN, repo, manifest);
    struct edge is = edge_of_id(&x->id, x->verdict == ID_PROVEN ? EDGE_ID_PROVEN : EDGE_ID_UNSURE,
                                repo, manifest);
    int rc = tbl_edge_delete(t, &claimed, err);

    if (rc != 1)
        return rc;
    if (x->verdict == ID_FALSE)
        return tbl_edge_delete(t, &own, err) < 0 ? -1 : 0;
    return tbl_edge_put(t, &is, err);
}

int
manifest_ids_settle(struct txn *t, uint64_t repo, const struct digest *manifest,
                    const struct judged_id *ids, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (settle_id(t, repo, manifest, &ids[i], err) != 0)
            return -1;
    return 0;
}
