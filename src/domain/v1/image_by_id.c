#include "domain/v1/image_by_id.h"
#include <stdbool.h>
#include "domain/inside/index_job.h"
#include "domain/v1/image_ids.h"
#include "domain/v1/image_named.h"
#include "domain/v1/image_proof.h"
#include "storage/tables/tbl_image.h"
#include "util/arena.h"

/* Manifests read for an id. Many may have it: each manifest built upon a base has the layers of
 * that base. */
#define CANDIDATES_MAX 16

/* Memory for looking at one of them, in bytes. */
#define CANDIDATE_MEMORY (32u << 20)

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
    struct digest missing; /* with PROOF_MISSING: the layer whose index is to be made */
    struct digest maybe;   /* the layer of one that may be right, and */
    bool contested;        /* another one has another layer */
    struct err why;        /* why none can be shown; ERR_NONE: there is none */
};

/* Looks at a manifest. It replaces the best one only if more of it is proven. A manifest whose
 * layers are others than its config says has only its own id. */
static int
compare_with_best(const struct registry *reg, const struct digest *id, const struct image_named *x,
                  const struct platform *platform, struct best_named *best, struct err *err)
{
    struct digest missing = {.algo = DIGEST_NONE};
    struct image_view v;
    struct arena arena;
    int rc;

    arena_init(&arena, CANDIDATE_MEMORY);
    rc = view_as_named(reg, id, x, platform, &arena, &v, err);
    if (rc == 1) {
        enum proof proof = x->is_proven ? PROOF_RIGHT : image_proof_of_view(reg, &v, &missing);

        if (proof == PROOF_MISSING || proof == PROOF_UNSURE) {
            best->contested = best->contested || (best->maybe.algo != DIGEST_NONE &&
                                                  !digest_equal(&best->maybe, v.layers));
            best->maybe = v.layers[0];
        }
        if ((proof != PROOF_WRONG || x->is_own) && (best->named == NULL || proof > best->proof)) {
            best->named = x;
            best->proof = proof;
            best->missing = missing;
        }
    } else if (rc < 0 && err->code == ERR_NO_IMAGE) {
        best->why = *err;
        rc = 0;
    }
    arena_reset(&arena);
    return rc < 0 ? -1 : 0;
}

static int
find_best_named(const struct registry *reg, const struct digest *id,
                const struct image_named_list *list, const struct platform *platform,
                struct best_named *best, struct err *err)
{
    bool many = list->n > CANDIDATES_MAX;

    *best = (struct best_named){.named = NULL};
    for (size_t i = 0; i < list->n && i < CANDIDATES_MAX; i++) {
        if (compare_with_best(reg, id, &list->v[i], platform, best, err) != 0)
            return -1;
        if (best->named != NULL && best->proof == PROOF_RIGHT)
            return 0;
    }
    /* The manifest with the right to the id may be among the others, after many that only claim it.
     */
    best->contested = best->contested || many;
    if (many && (best->named == NULL || best->proof == PROOF_WRONG))
        return err_set(err, ERR_NO_IMAGE,
                       "many images have this id, and the layers of the first ones aren't those of "
                       "their configs");
    return 0;
}

static int
wait_for_layer(const struct registry *reg, const struct digest *layer, struct err *err)
{
    if (index_job_demand(reg, layer, "", err) != 0)
        return -1;
    return err_set(err, ERR_BUSY,
                   "several images have this id, and the layers of one are being read: try again");
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

static bool
is_own_of_any(const struct image_named_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i].is_own)
            return true;
    return false;
}

int
image_by_id_find(const struct registry *reg, const struct digest *id,
                 const struct platform *platform, struct arena *arena, struct image_view *v,
                 struct err *err)
{
    struct image_named_list list;
    struct best_named best;
    struct rec_image r;
    bool unsure;
    int rc = tbl_image_get(kv_reads(reg->kv), id, &r, err);

    if (rc < 0 || image_named_read(reg, 0, id, &list, err) != 0)
        return -1;
    unsure = rc == 1 && !is_own_of_any(&list);
    if (unsure)
        leave_out_made(&list);
    if (list.n == 0)
        return 0;
    if (find_best_named(reg, id, &list, platform, &best, err) != 0)
        return -1;
    if (best.named == NULL && best.why.code != ERR_NONE && !unsure) {
        *err = best.why;
        return -1;
    }
    if (best.named == NULL || (unsure && best.proof < PROOF_MISSING))
        return 0;
    if (best.proof == PROOF_MISSING && (unsure || best.contested))
        return wait_for_layer(reg, &best.missing, err);
    return view_as_named(reg, id, best.named, platform, arena, v, err);
}

int
image_by_id_find_proven(const struct registry *reg, const struct digest *id, struct arena *arena,
                        struct image_view *v, struct err *err)
{
    struct digest missing;
    enum proof proof;
    int rc = image_by_id_find(reg, id, NULL, arena, v, err);

    if (rc != 1)
        return rc;
    proof = image_proof_of_view(reg, v, &missing);
    if (proof == PROOF_MISSING)
        return wait_for_layer(reg, &missing, err);
    return proof == PROOF_RIGHT;
}
