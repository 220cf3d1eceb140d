#include "domain/v1/image_proof.h"
#include "domain/core/chain_id.h"
#include "domain/core/manifest_ids.h"
#include "domain/v1/image_ids.h"
#include "storage/layers/index_file.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_manifest.h"
#include "util/arena.h"

static bool
has_layer(const struct registry *reg, uint64_t repo, const struct digest *layer)
{
    struct edge member = {.to = *layer, .kind = EDGE_MEMBER, .repo = repo};
    struct err ignored;

    return tbl_edge_has(kv_reads(reg->kv), &member, &ignored) == 1;
}

bool
image_proof_has_layer(const struct registry *reg, const struct image_view *v)
{
    return v->layers[0].algo == DIGEST_NONE || has_layer(reg, v->repo, &v->layers[0]);
}

/* Adds the layer to the chain id of those below it, and compares the result with the id. */
static enum proof
prove_layer(const struct registry *reg, uint64_t repo, const struct digest *layer,
            struct digest *chain, const struct digest *id, struct digest *missing)
{
    struct layer_info info;
    struct rec_blob r;
    struct digest is;
    struct err ignored;
    int rc;

    if (!has_layer(reg, repo, layer))
        return PROOF_ABSENT;
    rc = tbl_blob_get(kv_reads(reg->kv), layer, &r, &ignored);
    if (rc == 1 && (rc = index_file_info(reg->dirfd, layer, &info, &ignored)) == 0) {
        *missing = *layer;
        return PROOF_MISSING;
    }
    if (rc != 1 || info.diff_id.algo != DIGEST_SHA256)
        return PROOF_UNSURE;
    chain_id_next(chain, &info.diff_id);
    return image_ids_from(chain, &is) && digest_equal(&is, id) ? PROOF_RIGHT : PROOF_WRONG;
}

/* The id of the i-th image of the view by its layers. */
static const struct digest *
chain_id_of(const struct image_view *v, size_t i)
{
    return i == 0 && v->topmost ? &v->on_top : &v->ids[i];
}

enum proof
image_proof_of_view(const struct registry *reg, const struct image_view *v, struct digest *missing)
{
    struct digest chain = {.algo = DIGEST_NONE};
    enum proof proof = PROOF_RIGHT;

    if (v->layers_n == 0)
        return PROOF_RIGHT;
    for (size_t i = v->n; i-- > 0 && proof == PROOF_RIGHT;)
        proof = prove_layer(reg, v->repo, &v->layers[i], &chain, chain_id_of(v, i), missing);
    return proof;
}

static enum id_verdict
verdict_of(enum proof proof)
{
    return proof == PROOF_RIGHT ? ID_PROVEN : proof == PROOF_WRONG ? ID_FALSE : ID_UNSURE;
}

static int
compare_judged_ids(const void *a, const void *b)
{
    return digest_compare(&((const struct judged_id *)a)->id, &((const struct judged_id *)b)->id);
}

/* From the lowest layer up: what stands upon a wrong layer is wrong. The image's own id has its
 * layers by right if its topmost layer is right. */
static void
judge_view(const struct registry *reg, const struct image_view *v, struct judged_id *ids, size_t *n)
{
    struct digest chain = {.algo = DIGEST_NONE}, missing;
    enum proof proof = PROOF_RIGHT;

    for (size_t i = v->layers_n; i-- > 0 && proof != PROOF_MISSING;) {
        if (proof == PROOF_RIGHT)
            proof = prove_layer(reg, v->repo, &v->layers[i], &chain, chain_id_of(v, i), &missing);
        if (proof != PROOF_MISSING)
            ids[(*n)++] = (struct judged_id){*chain_id_of(v, i), verdict_of(proof)};
    }
    if (proof != PROOF_MISSING)
        ids[(*n)++] = (struct judged_id){v->ids[0], verdict_of(proof)};
    qsort(ids, *n, sizeof *ids, compare_judged_ids);
}

/* Of an image that can't be shown, the own id is all that there is. */
static int
judge_unseen(const struct registry *reg, uint64_t repo, const struct digest *manifest,
             struct judged_id *ids, size_t *n, struct err *err)
{
    struct rec_manifest r;
    int rc = tbl_manifest_get(kv_reads(reg->kv), repo, manifest, &r, err);

    if (rc == 1 && image_ids_from(&r.id, &ids[0].id)) {
        ids[0].verdict = ID_UNSURE;
        *n = 1;
    }
    return rc < 0 ? -1 : 0;
}

int
image_proof_judge(const struct registry *reg, uint64_t repo, const struct digest *manifest,
                  struct arena *arena, struct judged_id **ids, size_t *ids_n, struct err *err)
{
    struct image_view v = {.n = 0};
    int rc = image_view_of(reg, repo, manifest, NULL, arena, &v, err);

    *ids_n = 0;
    if (rc == 0 || (rc < 0 && err->code != ERR_NO_IMAGE))
        return rc;
    *ids = arena_array(arena, v.n + 1, sizeof **ids);
    if (*ids == NULL)
        return arena_full(err);
    if (rc < 0)
        return judge_unseen(reg, repo, manifest, *ids, ids_n, err);
    judge_view(reg, &v, *ids, ids_n);
    return 0;
}
