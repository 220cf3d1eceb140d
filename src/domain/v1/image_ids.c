#include "domain/v1/image_ids.h"

#include "util/banned.h"

bool
image_ids_from(const struct digest *d, struct digest *id)
{
    *id = *d;
    if (digest_size(d->algo) != digest_size(DIGEST_V1_ID))
        return false;
    id->algo = DIGEST_V1_ID;
    return true;
}

int
image_ids_of(const struct manifest *m, const struct digest *d, const struct digest *chain, size_t n,
             struct arena *arena, struct image_ids *out, struct err *err)
{
    *out = (struct image_ids){.v = arena_array(arena, n + 1, sizeof *out->v)};
    if (out->v == NULL)
        return err_set(err, ERR_SYSTEM, "no memory for the ids of an image");
    if (!image_ids_from(manifest_id(m, d), &out->v[0]))
        return 0;
    for (size_t i = 0; i < n; i++)
        image_ids_from(&chain[i], &out->v[i + 1]);
    out->n = n + 1;
    return 0;
}

void
image_ids_edges(const struct image_ids *ids, uint64_t repo, const struct digest *manifest,
                struct edge *out)
{
    for (size_t i = 0; i < ids->n; i++)
        out[i] = (struct edge){.to = ids->v[i], .kind = EDGE_ID, .repo = repo, .from = *manifest};
}
