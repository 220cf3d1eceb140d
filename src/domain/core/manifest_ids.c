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
    *ids = (struct manifest_ids){.chain = chain};
    return reg->foreign->ids_of_manifest(m, d, chain, chain != NULL ? layers : 0, arena, &ids->v,
                                         &ids->n, err);
}
