#include "domain/core/index_place.h"
#include "domain/v1/image_proof.h"
#include "domain/core/chain_id.h"
#include "domain/core/manifest_ids.h"
#include "domain/v1/image_ids.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_manifest.h"
#include "util/arena.h"

static int
has_layer(const struct registry *reg, uint64_t repo, const struct digest *layer, struct err *err)
{
    struct edge member = {.to = *layer, .kind = EDGE_MEMBER, .repo = repo};

    return tbl_edge_has(kv_reads(reg->kv), &member, err);
}

int
image_proof_has_layer(const struct registry *reg, const struct image_view *v, struct err *err)
{
    return v->layers[0].algo == DIGEST_NONE || has_layer(reg, v->repo, &v->layers[0], err);
}

/* Reads what the index of the layer says. 1; 0: *proof tells why it can't; -1. */
static int
read_info(const struct registry *reg, uint64_t repo, const struct digest *layer,
          struct layer_info *info, enum proof *proof, struct err *err)
{
    struct rec_blob r;
    int rc = has_layer(reg, repo, layer, err);

    *proof = PROOF_ABSENT;
    if (rc == 1 && (rc = tbl_blob_get(kv_reads(reg->kv), layer, &r, err)) == 1) {
        *proof = PROOF_MISSING;
        rc = index_store_info(index_place(reg), layer, info, err);
    }
    return rc;
}

/* Clients of the first API don't know zstd. They take such a file for a tar, and it can be made to
 * be both, with other files for them. */
static bool
is_known_to_v1(enum inflate_format format)
{
    return format != INFLATE_ZSTD;
}

/* Adds the layer to the chain id of those below it, and compares the result with the id. 0 or -1.
 */
static int
prove_layer(const struct registry *reg, uint64_t repo, const struct digest *layer,
            struct digest *chain, const struct digest *id, enum proof *proof, struct err *err)
{
    struct layer_info info;
    struct digest is;
    int rc = read_info(reg, repo, layer, &info, proof, err);

    if (rc != 1)
        return rc;
    *proof = PROOF_UNSURE;
    if (info.diff_id.algo != DIGEST_SHA256 || !is_known_to_v1(info.format))
        return 0;
    chain_id_next(chain, &info.diff_id);
    *proof = image_ids_from(chain, &is) && digest_equal(&is, id) ? PROOF_RIGHT : PROOF_WRONG;
    return 0;
}

/* The id of the i-th image of the view by its layers. */
static const struct digest *
chain_id_of(const struct image_view *v, size_t i)
{
    return i == 0 && v->topmost ? &v->on_top : &v->ids[i];
}

int
image_proof_of_view(const struct registry *reg, const struct image_view *v, enum proof *proof,
                    struct digest *missing, struct err *err)
{
    struct digest chain = {.algo = DIGEST_NONE};

    *proof = PROOF_RIGHT;
    if (v->layers_n == 0)
        return 0;
    for (size_t i = v->n; i-- > 0 && *proof == PROOF_RIGHT;) {
        *missing = v->layers[i];
        if (prove_layer(reg, v->repo, missing, &chain, chain_id_of(v, i), proof, err) != 0)
            return -1;
    }
    return 0;
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
static int
judge_view(const struct registry *reg, const struct image_view *v, struct judged_id *ids, size_t *n,
           struct err *err)
{
    struct digest chain = {.algo = DIGEST_NONE};
    enum proof proof = PROOF_RIGHT;

    for (size_t i = v->layers_n; i-- > 0 && proof != PROOF_MISSING;) {
        if (proof == PROOF_RIGHT &&
            prove_layer(reg, v->repo, &v->layers[i], &chain, chain_id_of(v, i), &proof, err) != 0)
            return -1;
        if (proof != PROOF_MISSING)
            ids[(*n)++] = (struct judged_id){*chain_id_of(v, i), verdict_of(proof)};
    }
    if (proof != PROOF_MISSING)
        ids[(*n)++] = (struct judged_id){v->ids[0], verdict_of(proof)};
    qsort(ids, *n, sizeof *ids, compare_judged_ids);
    return 0;
}

/* For an image that can't be shown, only its own id is judged. */
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
    return judge_view(reg, &v, *ids, ids_n, err);
}
