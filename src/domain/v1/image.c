#include "domain/v1/image.h"
#include "domain/core/pull.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_image.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/hex.h"

/* Incomplete images that a short id may match and that are passed over. Beyond that the id counts
 * as unknown. */
#define SHORT_VISITS_MAX 1000

/* The time between the answer that an image exists, and the request that relies on it. docker
 * continues at once. */
#define NEAR_MS 10000

static int
refuse_unknown_image(struct err *err)
{
    return err_set(err, ERR_NO_IMAGE, "Image not found");
}

bool
image_is_whole(const struct rec_image *r)
{
    return r->state == IMAGE_LAYER || r->state == IMAGE_COMPLETE;
}

int
image_check_pusher(const struct rec_image *r, const struct actor *actor, struct err *err)
{
    if (actor->administrator || r->state == IMAGE_COMPLETE || r->by[0] == '\0' ||
        actor->user[0] == '\0' || strcmp(r->by, actor->user) == 0)
        return 0;
    return err_set(err, ERR_EXISTS, "Another user is pushing an image with this id");
}

/* ---- short ids ---- */

struct candidates {
    const char *digits;
    size_t n;
    struct digest found;
    unsigned count;
    unsigned visits;
};

static bool
begins_so(const struct candidates *c, const struct digest *id)
{
    char hex[DIGEST_TEXT_MAX];

    digest_hex(hex, id);
    return strncmp(hex, c->digits, c->n) == 0;
}

static int
note_image_id(struct candidates *c, const struct digest *id)
{
    if (c->count == 0 || !digest_equal(&c->found, id))
        c->count++;
    c->found = *id;
    return c->count > 1;
}

static int
note_id_candidate(const struct digest *id, const struct rec_image *r, void *arg, struct err *err)
{
    struct candidates *c = arg;

    (void)err;
    if (!begins_so(c, id) || (image_is_whole(r) && note_image_id(c, id)))
        return 1;
    return ++c->visits == SHORT_VISITS_MAX;
}

/* An image pushed by the second API. */
static int
see_view(const struct digest *id, void *arg, struct err *err)
{
    struct candidates *c = arg;

    (void)err;
    return !begins_so(c, id) || note_image_id(c, id);
}

static int
see_views(const struct registry *reg, enum edge_kind kind, const struct digest *from,
          struct candidates *c, struct err *err)
{
    return tbl_edge_each_target(kv_reads(reg->kv), kind, from, see_view, c, err);
}

int
image_resolve(const struct registry *reg, const struct actor *actor, const char *text,
              struct digest *id, struct err *err)
{
    struct candidates c = {.digits = text, .n = strlen(text)}, claims = c;
    struct digest from = {.algo = DIGEST_V1_ID};
    char first[65];

    if (digest_parse_v1_id(id, text, c.n, err) == 0)
        return 0;
    if (c.n < IMAGE_SHORT_MIN || c.n >= sizeof first - 1 ||
        !access_everywhere(reg, actor, RIGHT_PULL))
        return refuse_unknown_image(err);
    memset(first, '0', sizeof first - 1);
    memcpy(first, text, c.n);
    if (!hex_decode(from.bytes, 32, first, sizeof first - 1))
        return refuse_unknown_image(err);
    /* Claims are read first: one that is proven meanwhile is met again. */
    if (see_views(reg, EDGE_ID, &from, &claims, err) != 0 ||
        see_views(reg, EDGE_ID_UNSURE, &from, &claims, err) != 0 ||
        tbl_image_each(kv_reads(reg->kv), &from, note_id_candidate, &c, err) != 0 ||
        see_views(reg, EDGE_ID_OWN, &from, &c, err) != 0 ||
        see_views(reg, EDGE_ID_PROVEN, &from, &c, err) != 0)
        return -1;
    /* Claims of others must not make a short id ambiguous. */
    if (c.count == 0)
        c = claims;
    if (c.count == 0)
        return refuse_unknown_image(err);
    if (c.count > 1)
        return err_set(err, ERR_BAD_REQUEST, "several images begin with %s: give more digits",
                       text);
    *id = c.found;
    return 0;
}

/* ---- finding ---- */

struct renewal {
    const struct registry *reg;
    const struct digest *id;
    bool gone;
};

static int
renew_lease(struct txn *t, void *arg, struct err *err)
{
    struct renewal *rn = arg;
    struct rec_image r;
    int found = tbl_image_get_for_update(t, rn->id, &r, err);

    rn->gone = found == 0 || (found == 1 && !image_is_whole(&r));
    if (found != 1 || rn->gone)
        return found < 0 ? -1 : 0;
    r.leased_until = clock_wall_ms() + rn->reg->lease_ms;
    return tbl_image_put(t, rn->id, &r, err);
}

/* When a pusher is told that an image exists, the image must stay for a while, because the pusher
 * will not send it.
 *
 * An image that a tag keeps is safe, because the removal of the tag gives it a lease. An image that
 * only another image keeps would have no lease when that other image is collected, so it gets a
 * lease here, written at most twice in a lease's time. The lease of an image that nothing keeps
 * isn't renewed here, because then looking at it would keep it for ever. Near the end of its lease
 * it is reported as absent; a client that sends its JSON again hears that it exists, and
 * image_push.c renews the lease.
 *
 * 1, 0 (it is gone, or about to go), -1. */
static int
hold_for_push(const struct registry *reg, const struct digest *id, const struct rec_image *r,
              struct err *err)
{
    struct renewal rn = {.reg = reg, .id = id};
    uint64_t now = clock_wall_ms(),
             near = reg->lease_ms / 4 < NEAR_MS ? reg->lease_ms / 4 : NEAR_MS;
    int kept;

    if (r->leased_until > now + reg->lease_ms / 2)
        return 1;
    kept = tbl_edge_any(kv_reads(reg->kv), id, EDGE_TAG, err);
    if (kept != 0)
        return kept;
    kept = tbl_edge_kept(kv_reads(reg->kv), id, err);
    if (kept < 1)
        return kept < 0 ? -1 : r->leased_until > now + near;
    if (txn_run(reg->kv, renew_lease, &rn, err) == 0)
        return rn.gone ? 0 : 1;
    /* A full disk refuses pushes, but not pulls, and these ask the same question. */
    return err->code == ERR_NO_SPACE ? 1 : -1;
}

int
image_find(const struct registry *reg, const struct digest *id, bool for_push, struct image *image,
           struct err *err)
{
    struct rec_image r;
    struct rec_blob layer;
    int rc = tbl_image_get(kv_reads(reg->kv), id, &r, err);

    if (rc == 1 && !image_is_whole(&r))
        rc = 0;
    if (rc == 1)
        rc = tbl_blob_get(kv_reads(reg->kv), &r.layer, &layer, err);
    if (rc == 1 && for_push && !reg->read_only)
        rc = hold_for_push(reg, id, &r, err);
    if (rc != 1)
        return rc < 0 ? -1 : refuse_unknown_image(err);
    *image =
        (struct image){.id = *id, .layer = r.layer, .checksum = r.checksum, .size = layer.size};
    blob_file_path(image->path, &r.layer, layer.instance);
    return 0;
}

int
image_json(const struct registry *reg, const struct digest *id, struct arena *arena,
           struct bytes *json, struct err *err)
{
    int rc = pull_content(reg, id, arena, json, err);

    return rc == 0 ? refuse_unknown_image(err) : rc < 0 ? -1 : 0;
}

int
image_chain(struct txn *t, const struct digest *id, struct digest *chain, size_t *n,
            struct err *err)
{
    struct digest at = *id;

    for (*n = 0; at.algo != DIGEST_NONE;) {
        struct rec_image r;
        int rc = tbl_image_get(t, &at, &r, err);

        if (rc < 0)
            return -1;
        /* Too long: an ancestor without a verified checksum got another parent since. */
        if (rc == 0 || !image_is_whole(&r) || *n == IMAGE_CHAIN_MAX)
            return refuse_unknown_image(err);
        chain[(*n)++] = at;
        at = r.parent;
    }
    return 0;
}

int
image_ancestry(const struct registry *reg, const struct digest *id, struct digest *chain, size_t *n,
               struct err *err)
{
    return image_chain(kv_reads(reg->kv), id, chain, n, err);
}

/* ---- keeping ---- */

int
image_is_held(struct txn *t, const struct digest *id, struct err *err)
{
    return tbl_edge_any(t, id, EDGE_MEMBER, err);
}

int
image_lease(struct txn *t, const struct registry *reg, const struct digest *id, uint64_t now,
            struct err *err)
{
    struct rec_image r;
    int found = tbl_image_get_for_update(t, id, &r, err);

    if (found != 1)
        return found;
    if (r.leased_until >= now + reg->lease_ms)
        return 0;
    r.leased_until = now + reg->lease_ms;
    return tbl_image_put(t, id, &r, err);
}
