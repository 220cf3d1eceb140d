#include "domain/v1/image_ids.h"
#include "util/arena.h"

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
             struct arena *arena, struct digest **ids, size_t *ids_n, struct err *err)
{
    struct digest *v = arena_array(arena, n + 1, sizeof *v);

    *ids = v;
    *ids_n = 0;
    if (v == NULL)
        return arena_full(err);
    if (!image_ids_from(manifest_id(m, d), &v[0]))
        return 0;
    for (size_t i = 0; i < n; i++)
        image_ids_from(&chain[i], &v[i + 1]);
    *ids_n = n + 1;
    return 0;
}
