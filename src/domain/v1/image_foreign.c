#include "domain/v1/image_foreign.h"
#include "domain/v1/image.h"
#include "domain/v1/image_garbage.h"
#include "domain/v1/image_ids.h"
#include "domain/v1/image_by_id.h"
#include "domain/v1/image_proof.h"
#include "domain/v1/image_seen.h"
#include "domain/v1/image_tag.h"
#include "storage/tables/tbl_image.h"
#include "util/arena.h"

static int
refuse_unconverted_image(struct txn *t, const char *tag, const struct digest *id, struct err *err)
{
    struct rec_image r;
    int rc = tbl_image_get(t, id, &r, err);

    if (rc < 0)
        return -1;
    if (rc == 0 || r.unconvertible[0] == '\0')
        return err_set(err, ERR_NOT_CONVERTED,
                       "tag %s names an image of the first API, whose manifest isn't made yet",
                       tag);
    err_set(err, ERR_UNCONVERTIBLE,
            "tag %s names an image of the first API that can't be converted to a manifest: %s", tag,
            r.unconvertible);
    return err_found(err, "%s", r.unconvertible);
}

static int
read_image_layers(const struct registry *reg, const struct digest *id, struct arena *arena,
                  struct foreign_layers *out, struct err *err)
{
    struct rec_image r;
    int rc = tbl_image_get(kv_reads(reg->kv), id, &r, err);

    if (rc != 1 || !image_is_whole(&r))
        return rc < 0 ? -1 : 0;
    out->ids = arena_array(arena, IMAGE_CHAIN_MAX, sizeof *out->ids);
    out->layers = arena_array(arena, IMAGE_CHAIN_MAX, sizeof *out->layers);
    if (out->ids == NULL || out->layers == NULL)
        return arena_full(err);
    if (image_ancestry(reg, id, out->ids, &out->n, err) != 0)
        return -1;
    for (size_t i = 0; i < out->n; i++) {
        rc = tbl_image_get(kv_reads(reg->kv), &out->ids[i], &r, err);
        if (rc != 1)
            return rc;
        out->layers[i] = r.layer;
    }
    return 1;
}

static int
read_layers_by_id(const struct registry *reg, const struct actor *actor, const struct digest *id,
                  const struct platform *platform, struct arena *arena, struct foreign_layers *out,
                  struct err *err)
{
    struct image_view v;
    int found = actor != NULL ? image_seen(reg, actor, id, IMAGE_READ, err) : 1, rc;

    if (found == 1)
        found = read_image_layers(reg, id, arena, out, err);

    if (found < 0 && err->code != ERR_NO_IMAGE)
        return -1;
    rc = image_by_id_find(reg, actor, id, platform, arena, &v, err);
    if (rc == 0 && found == 1)
        return 0;
    if (rc == 0)
        return err_set(err, ERR_NO_IMAGE, "Image not found");
    if (rc < 0)
        return -1;
    *out = (struct foreign_layers){.ids = v.ids, .layers = v.layers};
    out->n = v.layers[0].algo != DIGEST_NONE ? v.n : 0;
    return 0;
}

const struct foreign_images image_foreign = {
    .lease = image_lease,
    .collect = image_garbage_collect,
    .collect_round = image_garbage_round,
    .ids_of_manifest = image_ids_of,
    .judge_ids = image_proof_judge,
    .refuse_manifest = refuse_unconverted_image,
    .put_tag = image_tag_put_own,
    .layers = read_image_layers,
    .layers_by_id = read_layers_by_id,
    .json = image_json,
};
