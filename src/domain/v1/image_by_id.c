#include "domain/v1/image_by_id.h"
#include <inttypes.h>
#include <stdbool.h>
#include "domain/inside/index_job.h"
#include "domain/v1/image_ids.h"
#include "domain/v1/image_named.h"
#include "domain/v1/image_proof.h"
#include "storage/tables/tbl_image.h"
#include "util/arena.h"

/* Manifests read for an id. Many may have it: each manifest built upon a base has the layers of
 * that base. The first one decides if it is proven; otherwise it shows only whether others
 * contradict it. */
#define CANDIDATES_MAX 4

/* Memory for looking at one of them, in bytes, and what all may use before the rest isn't read. */
#define CANDIDATE_MEMORY (32u << 20)
#define CANDIDATES_MEMORY (2u << 20)

/* Cuts the view so that the image of that id is its first. False: the view has no such image. */
static bool
go_down_to(struct image_view *v, const struct digest *id)
{
    size_t i = 0;

    if (digest_equal(&v->on_top, id)) {
        v->ids[0] = *id;
        v->topmost = false;
        return true;
    }
    while (i < v->n && !digest_equal(&v->ids[i], id))
        i++;
    if (i == v->n)
        return false;
    v->topmost = i == 0;
    v->layer -= i;
    v->ids += i;
    v->layers += i;
    v->n -= i;
    return true;
}

/* The view of the id as that manifest shows it: 1; 0: the manifest has gone, or has no such image;
 * -1. */
static int
view_as_named(const struct registry *reg, const struct digest *id, const struct image_named *x,
              const struct platform *platform, struct arena *arena, struct image_view *v,
              struct err *err)
{
    struct digest own;
    bool whole = image_ids_from(&x->manifest, &own) && digest_equal(&own, id);
    int rc = image_view_of(reg, x->repo, &x->manifest, whole ? platform : NULL, arena, v, err);

    return rc == 1 ? whole || go_down_to(v, id) : rc;
}

/* A manifest that has the id, and what is known of its layers. */
struct best_named {
    const struct image_named *named; /* NULL: none can be shown */
    enum proof proof;
    bool has_layer;        /* its repository has the layer */
    struct digest missing; /* with PROOF_MISSING: the layer whose index is to be made */
    struct digest layer;   /* of the first that isn't proven, and not wrong */
    bool contested;        /* another one that isn't proven has another layer, or isn't read */
    size_t memory;         /* that was used for looking at them */
    struct err why;        /* none can be shown: why; ERR_NONE: none is there */
};

/* Of two that are equal the first stays. */
static bool
is_better(const struct best_named *best, enum proof proof, bool has_layer)
{
    if (best->named == NULL || proof != best->proof)
        return best->named == NULL || proof > best->proof;
    return has_layer && !best->has_layer;
}

/* v: the view of that manifest. */
static int
compare_with_best(const struct registry *reg, const struct image_named *x,
                  const struct image_view *v, struct best_named *best, struct err *err)
{
    struct digest missing = {.algo = DIGEST_NONE};
    int has_layer = image_proof_has_layer(reg, v, err);
    enum proof proof = PROOF_RIGHT;

    if (has_layer < 0)
        return -1;
    if (!(x->is_proven && has_layer == 1) &&
        image_proof_of_view(reg, v, &proof, &missing, err) != 0)
        return -1;
    if (proof == PROOF_WRONG) {
        err_set(&best->why, ERR_NO_IMAGE,
                "Image not found: the config of the image tells of other layers");
        return 0;
    }
    if (best->named == NULL)
        best->layer = v->layers[0];
    else if (!digest_equal(&best->layer, &v->layers[0]))
        best->contested = true;
    if (is_better(best, proof, has_layer == 1)) {
        best->named = x;
        best->proof = proof;
        best->has_layer = has_layer == 1;
        best->missing = missing;
    }
    return 0;
}

static int
look_at_named(const struct registry *reg, const struct digest *id, const struct image_named *x,
              const struct platform *platform, struct best_named *best, struct err *err)
{
    struct image_view v;
    struct arena arena;
    int rc;

    arena_init(&arena, CANDIDATE_MEMORY);
    rc = view_as_named(reg, id, x, platform, &arena, &v, err);
    if (rc == 1) {
        rc = compare_with_best(reg, x, &v, best, err);
    } else if (rc < 0 && err->code == ERR_NO_IMAGE) {
        best->why = *err;
        rc = 0;
    }
    best->memory += arena.used;
    arena_reset(&arena);
    return rc < 0 ? -1 : 0;
}

/* Is the manifest one of the first n? It is in several repositories then, and shows the same. */
static bool
is_among_first(const struct image_named_list *list, size_t n, const struct digest *manifest)
{
    for (size_t i = 0; i < n; i++)
        if (digest_equal(&list->v[i].manifest, manifest))
            return true;
    return false;
}

/* The proven manifests come first in the list. A claim by several unproven ones counts no more than
 * a claim by one. */
static int
find_best_named(const struct registry *reg, const struct digest *id,
                const struct image_named_list *list, const struct platform *platform,
                struct best_named *best, struct err *err)
{
    size_t i = 0, read_n;

    *best = (struct best_named){.named = NULL};
    for (; i < list->n && i < CANDIDATES_MAX && best->memory < CANDIDATES_MEMORY; i++) {
        if (look_at_named(reg, id, &list->v[i], platform, best, err) != 0)
            return -1;
        if (best->named != NULL && best->proof == PROOF_RIGHT)
            return 0;
    }
    best->contested = best->contested || list->more;
    for (read_n = i; i < list->n && !best->contested; i++)
        best->contested = !is_among_first(list, read_n, &list->v[i].manifest);
    return 0;
}

/* ---- which image an id shows ---- */

static bool
is_any_open(const struct image_named_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i].is_open)
            return true;
    return false;
}

/* Asks for the index that a proof needs, if one is missing. repo: the manifest's. */
static int
ask_for_index(const struct registry *reg, enum proof proof, const struct digest *missing,
              uint64_t repo, struct err *err)
{
    char name[24];

    if (proof != PROOF_MISSING)
        return 0;
    snprintf(name, sizeof name, "#%" PRIu64, repo);
    return index_job_demand(reg, missing, name, err);
}

static int
wait_for_layers(const struct registry *reg, const struct best_named *best, struct err *err)
{
    if (best->named != NULL &&
        ask_for_index(reg, best->proof, &best->missing, best->named->repo, err) != 0)
        return -1;
    return err_set(err, ERR_BUSY,
                   "another image claims this id, and its layers are being read: try again");
}

/* A manifest that was made of a v1 image claims no id from v1 images. */
static void
leave_out_made(struct image_named_list *list)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++)
        if (!list->v[i].is_made)
            list->v[n++] = list->v[i];
    list->n = n;
}

/* No v1 image has the id. 1: the best one is shown; 0; -1. */
static int
choose_alone(const struct registry *reg, const struct image_named_list *list,
             const struct best_named *best, struct err *err)
{
    bool is_right = best->named != NULL && best->proof == PROOF_RIGHT;

    if (is_right || (best->named != NULL && !best->contested))
        return 1;
    if (best->contested && is_any_open(list))
        return wait_for_layers(reg, best, err);
    if (best->named != NULL)
        return err_set(err, ERR_NO_IMAGE,
                       "Image not found: several images have this id, and which of them is right "
                       "can't be told from their layers");
    if (best->why.code == ERR_NONE)
        return 0;
    *err = best->why;
    return -1;
}

/* A v1 image has the id, complete or not. One that was made of a manifest (image_of_manifest.h) was
 * proven when it was made. */
static int
choose_beside(const struct registry *reg, const struct rec_image *r, const struct best_named *best,
              struct err *err)
{
    bool is_made = r->state == IMAGE_COMPLETE && r->checksum.algo == DIGEST_NONE;

    if (best->named == NULL)
        return 0;
    if (best->proof == PROOF_RIGHT)
        return 1;
    if (is_made)
        return 0;
    if (best->proof == PROOF_MISSING)
        return wait_for_layers(reg, best, err);
    return r->state != IMAGE_COMPLETE && best->named->is_own && !best->contested;
}

/* The usual case, in which one document is read once. 1; 0: the others have to be looked at; -1. */
static int
find_proven(const struct registry *reg, const struct digest *id,
            const struct image_named_list *list, const struct platform *platform,
            struct arena *arena, struct image_view *v, struct err *err)
{
    int rc;

    if (list->n == 0 || !list->v[0].is_proven)
        return 0;
    rc = view_as_named(reg, id, &list->v[0], platform, arena, v, err);
    if (rc == 1)
        rc = image_proof_has_layer(reg, v, err);
    return rc < 0 && err->code == ERR_NO_IMAGE ? 0 : rc;
}

int
image_by_id_find(const struct registry *reg, const struct actor *actor, const struct digest *id,
                 const struct platform *platform, struct arena *arena, struct image_view *v,
                 struct err *err)
{
    struct image_named_list list;
    struct best_named best;
    struct rec_image r;
    int has_record = tbl_image_get(kv_reads(reg->kv), id, &r, err), rc;

    if (has_record < 0 || image_named_read(reg, actor, 0, id, &list, err) != 0)
        return -1;
    if (has_record == 1)
        leave_out_made(&list);
    rc = find_proven(reg, id, &list, platform, arena, v, err);
    if (rc != 0)
        return rc;
    if (find_best_named(reg, id, &list, platform, &best, err) != 0)
        return -1;
    rc =
        has_record == 1 ? choose_beside(reg, &r, &best, err) : choose_alone(reg, &list, &best, err);
    return rc == 1 ? view_as_named(reg, id, best.named, platform, arena, v, err) : rc;
}

int
image_by_id_prove(const struct registry *reg, const struct image_view *v, struct err *err)
{
    struct digest missing;
    enum proof proof;

    if (image_proof_of_view(reg, v, &proof, &missing, err) != 0 ||
        ask_for_index(reg, proof, &missing, v->repo, err) != 0)
        return -1;
    if (proof != PROOF_MISSING)
        return proof == PROOF_RIGHT;
    return err_set(err, ERR_BUSY, "the layers of this image are being read: try again");
}

int
image_by_id_is_claimed(const struct registry *reg, const struct digest *id, struct err *err)
{
    struct image_named_list list;
    struct best_named best;

    if (image_named_read(reg, NULL, 0, id, &list, err) != 0 ||
        find_best_named(reg, id, &list, NULL, &best, err) != 0)
        return -1;
    if (best.named == NULL ? best.contested && is_any_open(&list) : best.proof == PROOF_MISSING)
        return wait_for_layers(reg, &best, err);
    return best.named != NULL && best.proof == PROOF_RIGHT;
}
