#include "domain/core/undo.h"
#include "domain/core/foreign_images.h"
#include "domain/core/manifest.h"
#include "domain/core/pull.h"
#include "domain/core/push.h"
#include "domain/core/tag_history.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_trash.h"
#include "util/arena.h"
#include "util/mem.h"

/* Memory for one manifest. */
#define MEMORY (32u << 20)

/* Indexes of indexes that are taken out of the trash. */
#define DEPTH_MAX 8

struct undoing {
    const struct registry *reg;
    struct undo *u;
    uint64_t repo;
};

/* ---- manifests ---- */

static int
refuse_lost(const struct undoing *x, const struct digest *d, struct err *err)
{
    char text[DIGEST_TEXT_MAX];

    digest_text(text, d);
    return err_set(err, ERR_NO_MANIFEST, "%s isn't in repository %s any more", text,
                   x->u->repository);
}

/* Finds the record that the manifest has, or had before it was deleted. 1, 0, -1. */
static int
find_former(const struct undoing *x, const struct digest *d, struct rec_manifest *r,
            bool *is_trashed, struct err *err)
{
    struct rec_trash trash;
    int rc = tbl_manifest_get(kv_reads(x->reg->kv), x->repo, d, r, err);

    *is_trashed = false;
    if (rc != 0)
        return rc;
    rc = tbl_trash_get(kv_reads(x->reg->kv), x->repo, d, &trash, err);
    if (rc == 1) {
        *r = trash.manifest;
        *is_trashed = true;
    }
    return rc;
}

static int put_back_manifest(const struct undoing *x, const struct digest *d, const char *tag,
                             const struct condition *condition, unsigned depth, struct err *err);

/* The manifests of a deleted index come first. One that was deleted long before it stays deleted.
 */
static int
put_back_children(const struct undoing *x, const struct bytes *document, const char *media_type,
                  unsigned depth, struct arena *arena, struct err *err)
{
    struct rec_manifest r;
    struct manifest m;
    bool is_trashed;

    if (manifest_parse(&m, *document, media_type, arena, err) != 0)
        return -1;
    for (size_t i = 0; i < m.descriptors_n; i++) {
        const struct manifest_descriptor *child = &m.descriptors[i];
        int rc =
            child->part == PART_CHILD ? find_former(x, &child->digest, &r, &is_trashed, err) : 0;

        if (rc < 0 || (rc == 1 && is_trashed &&
                       put_back_manifest(x, &child->digest, NULL, NULL, depth + 1, err) != 0))
            return -1;
    }
    return 0;
}

static int
push_former(const struct undoing *x, const struct digest *d, const struct rec_manifest *r,
            struct bytes document, const char *tag, const struct condition *condition,
            struct arena *arena, struct err *err)
{
    struct push p = {.repository = x->u->repository,
                     .tags = &tag,
                     .tags_n = tag != NULL ? 1 : 0,
                     .document = document,
                     .content_type = r->media_type,
                     .actor = x->u->actor,
                     .as_is = true,
                     .former = r,
                     .tag_condition = condition,
                     .digest = *d};

    return push_manifest(x->reg, &p, arena, err);
}

/* tag: NULL: it gets none. */
static int
put_back_manifest(const struct undoing *x, const struct digest *d, const char *tag,
                  const struct condition *condition, unsigned depth, struct err *err)
{
    struct rec_manifest r;
    struct bytes document;
    struct arena arena;
    bool is_trashed;
    int rc = find_former(x, d, &r, &is_trashed, err);

    if (rc == 1 && depth > DEPTH_MAX)
        return err_set(err, ERR_BAD_MANIFEST, "indexes are nested more than %d deep", DEPTH_MAX);
    arena_init(&arena, MEMORY);
    if (rc == 1)
        rc = pull_document(x->reg, d, r.size, &arena, &document, err);
    if (rc == 0)
        rc = refuse_lost(x, d, err);
    if (rc == 1)
        rc = is_trashed ? put_back_children(x, &document, r.media_type, depth, &arena, err) : 0;
    if (rc == 0)
        rc = push_former(x, d, &r, document, tag, condition, &arena, err);
    arena_reset(&arena);
    return rc;
}

/* ---- images of the first API ---- */

static int
take_source(const struct edge *e, void *arg, struct err *err)
{
    (void)err;
    *(struct digest *)arg = e->from;
    return 1;
}

/* A tag that named an image by its id is put back to the manifest that was made of it, if there is
 * one. That may be in the trash. */
static int
put_back_foreign(const struct undoing *x, const struct condition *condition, struct err *err)
{
    struct digest manifest = {.algo = DIGEST_NONE};
    struct arena arena;
    int rc;

    if (tbl_edge_each(kv_reads(x->reg->kv), &x->u->to, EDGE_TRASH_PART, x->repo, NULL, take_source,
                      &manifest, err) != 0)
        return -1;
    if (manifest.algo != DIGEST_NONE) {
        x->u->to = manifest;
        return put_back_manifest(x, &manifest, x->u->tag, condition, 0, err);
    }
    arena_init(&arena, MEMORY);
    rc = x->reg->foreign->put_tag(x->reg, x->u->repository, x->u->tag, &x->u->to, condition,
                                  x->u->actor, &arena, err);
    arena_reset(&arena);
    if (rc != 0 && err->code == ERR_NO_IMAGE)
        return refuse_lost(x, &x->u->to, err);
    return rc;
}

/* ---- which move ---- */

/* The tag must still be as its history was when it was read. */
static int
put_back(const struct registry *reg, struct undo *u, const struct tag_history *h,
         const struct digest *to, struct err *err)
{
    struct undoing x = {.reg = reg, .u = u, .repo = h->repo};
    struct condition same = {.match = {.given = h->is_there, .v = &u->from, .n = 1},
                             .none_match = {.given = !h->is_there, .any = true}};
    int rc;

    u->from = h->is_there ? h->tag.target : (struct digest){.algo = DIGEST_NONE};
    u->to = *to;
    rc = u->to.algo == DIGEST_V1_ID ? put_back_foreign(&x, &same, err)
                                    : put_back_manifest(&x, &u->to, u->tag, &same, 0, err);
    if (rc != 0 && err->code == ERR_CONDITION)
        return err_set(err, ERR_CONDITION,
                       "tag %s was moved at the same time: look at its history, and try again",
                       u->tag);
    return rc;
}

static int
undo_last_move(const struct registry *reg, struct undo *u, const struct tag_history *h,
               struct err *err)
{
    if (h->n == 0)
        return err_set(err, ERR_NO_MANIFEST, "tag %s has no history", u->tag);
    if (h->v[0].r.before.algo == DIGEST_NONE)
        return err_set(err, ERR_NO_MANIFEST,
                       "tag %s is new since its last move, so there is nothing before it", u->tag);
    return put_back(reg, u, h, &h->v[0].r.before, err);
}

static int
undo_to_move(const struct registry *reg, struct undo *u, const struct tag_history *h,
             uint64_t number, struct err *err)
{
    for (size_t i = 0; i < h->n; i++) {
        if (h->v[i].number != number)
            continue;
        if (h->v[i].r.after.algo == DIGEST_NONE)
            return err_set(err, ERR_NO_MANIFEST, "entry %llu of the history deleted tag %s",
                           (unsigned long long)number, u->tag);
        return put_back(reg, u, h, &h->v[i].r.after, err);
    }
    return err_set(err, ERR_NO_MANIFEST, "the history of tag %s has no entry %llu", u->tag,
                   (unsigned long long)number);
}

static int
restore_tag(const struct registry *reg, struct undo *u, const struct tag_history *h,
            struct err *err)
{
    if (h->is_there)
        return err_set(err, ERR_EXISTS, "tag %s exists: \"tag undo\" takes back its last move",
                       u->tag);
    return undo_last_move(reg, u, h, err);
}

/* number: UINT64_MAX: the last move. */
static int
read_and_undo(const struct registry *reg, struct undo *u, uint64_t number, bool restores,
              struct err *err)
{
    struct tag_history *h = mem_alloc(sizeof *h);
    int rc = tag_history_read(reg, u->repository, u->tag, h, err);

    if (rc == 0 && restores)
        rc = restore_tag(reg, u, h, err);
    else if (rc == 0)
        rc = number == UINT64_MAX ? undo_last_move(reg, u, h, err)
                                  : undo_to_move(reg, u, h, number, err);
    free(h);
    return rc;
}

int
undo_last(const struct registry *reg, struct undo *u, struct err *err)
{
    return read_and_undo(reg, u, UINT64_MAX, false, err);
}

int
undo_to(const struct registry *reg, struct undo *u, uint64_t number, struct err *err)
{
    return read_and_undo(reg, u, number, false, err);
}

int
undo_restore(const struct registry *reg, struct undo *u, struct err *err)
{
    return read_and_undo(reg, u, UINT64_MAX, true, err);
}
