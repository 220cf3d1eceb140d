#include "domain/core/new_layers.h"
#include "domain/core/chain_id.h"
#include "domain/events/event.h"

static bool
is_new_layer(const struct new_layers *layers, const struct digest *blob)
{
    for (size_t i = 0; i < layers->n; i++)
        if (digest_equal(&layers->v[i].blob, blob))
            return true;
    return false;
}

/* Collects the layers that nothing keeps. of[i]: the number of out->v[i] among the image's layers.
 */
static int
collect_unkept_layers(const struct registry *reg, const struct manifest *m, struct new_layers *out,
                      size_t *of, struct err *err)
{
    size_t layer = 0;

    for (size_t i = 0; i < m->descriptors_n; i++) {
        const struct manifest_descriptor *d = &m->descriptors[i];
        int kept;

        if (d->part != PART_LAYER)
            continue;
        if (!d->elsewhere && !is_new_layer(out, &d->digest)) {
            kept = tbl_edge_kept(kv_reads(reg->kv), &d->digest, err);
            if (kept < 0)
                return -1;
            if (kept == 0) {
                out->v[out->n] = (struct new_layer){.blob = d->digest};
                of[out->n++] = layer;
            }
        }
        layer++;
    }
    return 0;
}

int
new_layers_find(const struct registry *reg, const struct manifest *m, const struct digest *chain,
                struct arena *arena, struct new_layers *out, struct err *err)
{
    size_t of[CHAIN_ID_LAYERS_MAX] = {0}; /* the analyzers don't see that n of them are set */
    size_t layers = m->descriptors_n - 1;

    *out = (struct new_layers){.n = 0};
    if (chain == NULL || layers == 0 || layers > CHAIN_ID_LAYERS_MAX)
        return 0;
    out->v = arena_array(arena, layers, sizeof *out->v);
    if (out->v == NULL)
        return arena_full(err);
    if (collect_unkept_layers(reg, m, out, of, err) != 0)
        return -1;
    for (size_t i = 0; i < out->n; i++)
        out->v[i].chain = chain[of[i]];
    return 0;
}

int
new_layers_look(struct txn *t, struct new_layers *layers, struct err *err)
{
    for (size_t i = 0; i < layers->n; i++) {
        int kept = tbl_edge_kept(t, &layers->v[i].blob, err);

        if (kept < 0)
            return -1;
        layers->v[i].is_kept = kept == 1;
    }
    return 0;
}

int
new_layers_tell(struct txn *t, const struct new_layers *layers, const struct actor *actor,
                const struct rec_event *e, struct err *err)
{
    struct rec_event layer = *e;

    layer.type = EVENT_LAYER;
    layer.media_type[0] = '\0';
    for (size_t i = 0; i < layers->n; i++) {
        layer.id = layers->v[i].chain;
        layer.digest = layers->v[i].blob;
        if (!layers->v[i].is_kept && event_tell(t, actor, &layer, err) != 0)
            return -1;
    }
    return 0;
}
