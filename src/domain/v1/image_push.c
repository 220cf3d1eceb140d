#include "domain/v1/image_push.h"
#include "domain/core/blob_draft.h"
#include "domain/core/lease.h"
#include "domain/v1/image_checksum.h"
#include "domain/events/event.h"
#include "domain/v1/image.h"
#include "domain/v1/image_by_id.h"
#include "domain/v1/image_named.h"
#include "domain/v1/image_of_manifest.h"
#include "domain/v1/image_seen.h"
#include "storage/files/blob_file.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_image.h"
#include "storage/tables/tbl_job.h"
#include "storage/files/upload_dir.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/json.h"

/* Nesting limit of the JSON. Configurations of containers have far less. */
#define JSON_DEPTH_MAX 64

static int
exists(struct err *err)
{
    return err_set(err, ERR_EXISTS, "Image already exists"); /* docker skips the image when it reads
                                                              * exactly these words */
}

static int
no_image(struct err *err)
{
    return err_set(err, ERR_NO_IMAGE, "Image not found");
}

static bool
is_some(const struct digest *d)
{
    return d->algo != DIGEST_NONE;
}

static struct edge
keeping(const struct digest *id, const struct digest *what)
{
    return (struct edge){.to = *what, .kind = EDGE_IMAGE, .from = *id};
}

/* An image may wait for its layer as long as an upload for its next byte, since the layer may take
 * hours. */
static void
lease(const struct registry *reg, struct rec_image *r, uint64_t now)
{
    uint64_t for_ms = reg->lease_ms;

    if (!image_is_whole(r) && for_ms < reg->upload_expiry_ms)
        for_ms = reg->upload_expiry_ms;
    if (r->leased_until < now + for_ms)
        r->leased_until = now + for_ms;
}

static int
tell_of_image(struct txn *t, enum event_type type, const struct digest *id,
              const struct digest *checksum, const struct actor *actor, struct err *err)
{
    struct rec_event e = event_of(type, "", actor);

    e.id = *id;
    if (checksum != NULL)
        e.digest = *checksum;
    return event_tell(t, actor, &e, err);
}

/* Compares the JSON with the stored one: 1 equal, 0, -1. */
static int
has_json(struct txn *t, const struct digest *id, struct bytes json, struct err *err)
{
    struct buf there;
    int rc = tbl_content_get(t, id, &there, err);

    if (rc == 1)
        rc = bytes_equal(buf_bytes(&there), json);
    buf_free(&there);
    return rc;
}

/* Checks that this user may push the image with that id. r: as far as it has been pushed, NULL: not
 * at all. An image of the second API that has the id by right is the only one. An image that is not
 * complete belongs to the user who pushed its JSON. 0, or -1 and ERR_EXISTS. */
static int
check_owner(struct txn *t, const struct digest *id, const struct rec_image *r,
            const struct actor *actor, struct err *err)
{
    int rc = image_named_is_taken(t, id, err);

    if (rc != 0)
        return rc < 0 ? -1 : exists(err);
    return r != NULL ? image_check_pusher(r, actor, err) : 0;
}

/* Checks that the JSON or layer may be replaced. 0, or -1 and ERR_EXISTS. */
static int
check_open(struct txn *t, const struct digest *id, const struct rec_image *r, bool same,
           struct err *err)
{
    int held;

    if (r->state == IMAGE_COMPLETE)
        return exists(err);
    if (same || !image_is_whole(r))
        return 0;
    held = image_is_held(t, id, err);
    return held == 1 ? exists(err) : held;
}

/* ---- the JSON ---- */

struct json_push {
    const struct registry *reg;
    const struct digest *id;
    struct bytes json;
    struct digest parent;
    const struct actor *actor;
    bool complete; /* the image is complete and need not be pushed */
};

static int
read_ids(struct json_push *p, const struct json *object, struct err *err)
{
    const char *id = json_string(json_member(object, "id"));
    const struct json *parent = json_member(object, "parent");
    const char *text = json_string(parent);
    struct digest named;

    if (json_type(object) != JSON_OBJECT)
        return err_set(err, ERR_BAD_IMAGE, "Invalid JSON: not an object");
    if (json_member(object, "id") == NULL)
        return err_set(err, ERR_BAD_IMAGE, "Missing key `id' in JSON");
    if (id == NULL || digest_parse_v1_id(&named, id, strlen(id), err) != 0 ||
        !digest_equal(&named, p->id))
        return err_set(err, ERR_BAD_IMAGE, "JSON data contains invalid id");
    p->parent = (struct digest){.algo = DIGEST_NONE};
    if (parent == NULL || (text != NULL && text[0] == '\0'))
        return 0;
    if (text == NULL || digest_parse_v1_id(&p->parent, text, strlen(text), err) != 0)
        return err_set(err, ERR_BAD_IMAGE, "JSON data contains invalid parent");
    return 0;
}

static int
parse(struct json_push *p, struct err *err)
{
    struct json *object;
    char why[ERR_MESSAGE_MAX];
    int rc;

    if (p->json.n > IMAGE_PUSH_JSON_MAX)
        return err_set(err, ERR_TOO_LARGE, "the JSON of an image may have at most %u bytes",
                       IMAGE_PUSH_JSON_MAX);
    if (json_parse(p->json, JSON_DEPTH_MAX, &object, err) != 0) {
        if (err->code != ERR_BAD_REQUEST)
            return -1;
        snprintf(why, sizeof why, "%s", err->message);
        return err_set(err, ERR_BAD_IMAGE, "Invalid JSON: %s", why);
    }
    rc = read_ids(p, object, err);
    json_free(object);
    return rc;
}

static int
refuse_parent(struct err *err)
{
    return err_set(err, ERR_BAD_IMAGE, "Image depends on a non existing parent");
}

/* Checks the ancestors: each must exist, none may be the image itself, and the chain must end. The
 * records that this reads remain locked until the commit, so two images that become each other's
 * parent at the same time fail. */
static int
check_ancestors(struct txn *t, const struct json_push *p, struct err *err)
{
    struct digest at = p->parent;

    for (unsigned n = 1; is_some(&at); n++) {
        struct rec_image r;
        int rc;

        if (digest_equal(&at, p->id))
            return err_set(err, ERR_BAD_IMAGE, "Image is among its own parents");
        if (n == IMAGE_CHAIN_MAX)
            return err_set(err, ERR_BAD_IMAGE, "Image has more than %d parents",
                           IMAGE_CHAIN_MAX - 1);
        rc = tbl_image_get(t, &at, &r, err);
        if (rc < 0)
            return -1;
        if (rc == 0)
            return refuse_parent(err);
        at = r.parent;
    }
    return 0;
}

/* Replaces the edges to the layer or the parent that it keeps. */
static int
move_edges(struct txn *t, const struct json_push *p, const struct rec_image *old, bool moved,
           struct err *err)
{
    struct edge layer = keeping(p->id, &old->layer), was = keeping(p->id, &old->parent);
    struct edge is = keeping(p->id, &p->parent);

    if (is_some(&old->layer) && tbl_edge_drop(t, &layer, err) != 0)
        return -1;
    if (moved && is_some(&old->parent) && tbl_edge_drop(t, &was, err) != 0)
        return -1;
    return moved && is_some(&p->parent) ? tbl_edge_put(t, &is, err) : 0;
}

/* Writes the record and what belongs to it, in the order of the tables. old: all zero for a new
 * image. */
static int
put_new(struct txn *t, const struct json_push *p, bool is_new, const struct rec_image *old,
        struct err *err)
{
    uint64_t now = clock_wall_ms();
    struct rec_image r = {.state = IMAGE_JSON, .parent = p->parent, .created = now};
    bool moved = !digest_equal(&old->parent, &p->parent);
    struct job job = {.kind = JOB_COLLECT, .digest = *p->id};
    struct rec_job work = {.tries = 0};

    snprintf(r.by, sizeof r.by, "%s", p->actor->user);
    lease(p->reg, &r, now);
    job.due = r.leased_until;
    if ((moved && is_some(&old->parent) && image_lease(t, p->reg, &old->parent, now, err) != 0) ||
        tbl_image_put(t, p->id, &r, err) != 0 || tbl_content_put(t, p->id, p->json, err) != 0 ||
        lease_blob(t, p->reg, &old->layer, now, err) != 0 || move_edges(t, p, old, moved, err) != 0)
        return -1;
    /* Nothing keeps it yet, so a job looks at it at the end of its lease. */
    if (is_new && tbl_job_put(t, &job, &work, err) != 0)
        return -1;
    if ((moved && is_some(&old->parent) &&
         lease_look_at(t, &old->parent, now + p->reg->lease_ms, err) != 0) ||
        (is_some(&old->layer) && lease_look_at(t, &old->layer, now + p->reg->lease_ms, err) != 0))
        return -1;
    return tell_of_image(t, EVENT_IMAGE, p->id, NULL, p->actor, err);
}

/* The pusher will skip the image, so it must stay until something keeps it. */
static int
renew(struct txn *t, const struct json_push *p, struct rec_image *r, struct err *err)
{
    uint64_t now = clock_wall_ms();

    if (r->leased_until > now + p->reg->lease_ms / 2)
        return 0;
    lease(p->reg, r, now);
    return tbl_image_put(t, p->id, r, err);
}

static int
put_json(struct txn *t, void *arg, struct err *err)
{
    struct json_push *p = arg;
    struct rec_image old = {.parent = {.algo = DIGEST_NONE}, .layer = {.algo = DIGEST_NONE}};
    int found = tbl_image_get_for_update(t, p->id, &old, err), same = 0;

    p->complete = found == 1 && old.state == IMAGE_COMPLETE;
    if (p->complete)
        return renew(t, p, &old, err);
    if (found < 0 || check_owner(t, p->id, found == 1 ? &old : NULL, p->actor, err) != 0)
        return -1;
    if (found == 1)
        same = has_json(t, p->id, p->json, err);
    if (same < 0)
        return -1;
    if (found == 1 && check_open(t, p->id, &old, same, err) != 0)
        return -1;
    if (same) {
        lease(p->reg, &old, clock_wall_ms());
        return tbl_image_put(t, p->id, &old, err);
    }
    if (check_ancestors(t, p, err) != 0)
        return -1;
    return put_new(t, p, found == 0, &old, err);
}

/* An image that has been begun isn't stopped by what only claims its id. */
static int
check_free(const struct json_push *p, struct err *err)
{
    struct txn *t = kv_reads(p->reg->kv);
    struct rec_image r;
    int rc = tbl_image_get(t, p->id, &r, err);

    if (rc < 0 || check_owner(t, p->id, rc == 1 ? &r : NULL, p->actor, err) != 0)
        return -1;
    if (rc == 1)
        return 0;
    rc = image_by_id_is_claimed(p->reg, p->id, err);
    return rc == 1 ? exists(err) : rc;
}

/* Makes a v1 image of a parent that was pushed by the second API. A tag makes the whole chain
 * readable in its repository, so the pusher needs the right to read the parent. */
static int
have_parent(const struct json_push *p, struct err *err)
{
    int rc;

    if (!is_some(&p->parent))
        return 0;
    rc = image_of_manifest_adopt(p->reg, &p->parent, p->actor, err);
    if (rc == 0)
        rc = image_seen(p->reg, p->actor, &p->parent, IMAGE_BUILD_UPON, err);
    return rc == 0 ? refuse_parent(err) : rc < 0 ? -1 : 0;
}

int
image_push_json(const struct registry *reg, const struct digest *id, struct bytes json,
                const struct actor *actor, struct err *err)
{
    struct json_push p = {.reg = reg, .id = id, .json = json, .actor = actor};

    /* An id that is taken is refused before anything is done for the parent. */
    if (parse(&p, err) != 0 || check_free(&p, err) != 0 || have_parent(&p, err) != 0 ||
        txn_run(reg->kv, put_json, &p, err) != 0)
        return -1;
    return p.complete ? exists(err) : 0;
}

/* ---- the layer ---- */

struct layer_push {
    const struct registry *reg;
    const struct digest *id;
    const struct actor *actor;
    struct bytes json; /* the JSON for which the checksum was computed */
    struct digest layer;
    struct digest checksum;
    struct blob_draft draft;
    uint64_t now;
    struct rec_image old; /* before */
    bool same;            /* it had that layer already */
};

static int
take_layer(struct txn *t, struct layer_push *p, struct err *err)
{
    struct rec_image r;
    int rc = tbl_image_get_for_update(t, p->id, &r, err);

    if (rc == 0)
        return no_image(err);
    if (rc < 0 || (rc = has_json(t, p->id, p->json, err)) < 0)
        return -1;
    if (rc == 0)
        return err_set(err, ERR_BUSY, "the image's JSON changed while its layer was sent");
    p->old = r;
    p->same = digest_equal(&r.layer, &p->layer);
    if ((r.state != IMAGE_COMPLETE && check_owner(t, p->id, &r, p->actor, err) != 0) ||
        check_open(t, p->id, &r, p->same, err) != 0)
        return -1;
    p->now = clock_wall_ms();
    r.state = IMAGE_LAYER;
    r.layer = p->layer;
    r.checksum = p->checksum;
    lease(p->reg, &r, p->now);
    if (tbl_image_put(t, p->id, &r, err) != 0)
        return -1;
    return p->same ? 0 : lease_blob(t, p->reg, &p->old.layer, p->now, err);
}

static int
keep_layer(struct txn *t, const struct layer_push *p, struct err *err)
{
    struct edge layer = keeping(p->id, &p->layer), old = keeping(p->id, &p->old.layer);

    if (tbl_edge_put(t, &layer, err) != 0)
        return -1;
    if (!p->same && is_some(&p->old.layer) &&
        (tbl_edge_drop(t, &old, err) != 0 ||
         lease_look_at(t, &p->old.layer, p->now + p->reg->lease_ms, err) != 0))
        return -1;
    if (p->same && p->old.state == IMAGE_LAYER)
        return 0;
    return tell_of_image(t, EVENT_LAYER, p->id, &p->checksum, p->actor, err);
}

static int
commit_layer(struct txn *t, void *arg, struct err *err)
{
    struct layer_push *p = arg;

    if (take_layer(t, p, err) != 0 ||
        blob_draft_put(t, &p->draft, p->now + p->reg->lease_ms, err) != 0)
        return -1;
    return keep_layer(t, p, err);
}

/* Computes both hashes in one pass. */
static int
hash(struct layer_push *p, int fd, uint64_t *size, struct err *err)
{
    struct digest_state *payload = digest_begin(DIGEST_SHA256);
    int rc;

    if (payload == NULL)
        return err_set(err, ERR_SYSTEM, "cannot begin a digest");
    digest_update(payload, p->json.p, p->json.n);
    digest_update(payload, "\n", 1);
    rc = digest_of_fd_with(&p->layer, DIGEST_SHA256, payload, fd, size, err);
    digest_end(payload, &p->checksum);
    if (rc == 0 && p->checksum.algo == DIGEST_NONE)
        rc = err_set(err, ERR_SYSTEM, "the digest of a layer failed");
    return rc;
}

/* Checks that an image waits for the layer, before the file is hashed. The transaction checks
 * again. */
static int
check_waiting(struct layer_push *p, struct arena *arena, struct err *err)
{
    struct rec_image r;
    int rc = tbl_image_get(kv_reads(p->reg->kv), p->id, &r, err);

    if (rc != 1)
        return rc < 0 ? -1 : no_image(err);
    if (r.state == IMAGE_COMPLETE)
        return exists(err);
    if (check_owner(kv_reads(p->reg->kv), p->id, &r, p->actor, err) != 0)
        return -1;
    return image_json(p->reg, p->id, arena, &p->json, err);
}

static int
push_layer(struct layer_push *p, int fd, struct err *err)
{
    uint64_t size = 0;

    if (hash(p, fd, &size, err) != 0)
        return -1;
    p->draft = blob_draft_of_fd(p->reg, &p->layer, fd, size);
    return blob_draft_commit(&p->draft, commit_layer, p, err);
}

int
image_push_layer(const struct registry *reg, const struct digest *id, const char *body_file,
                 uint64_t size, const struct actor *actor, struct arena *arena, struct err *err)
{
    struct layer_push p = {.reg = reg, .id = id, .actor = actor};
    int fd, rc;

    if (check_waiting(&p, arena, err) != 0)
        return -1;
    if (body_file[0] == '\0' || size == 0)
        return err_set(err, ERR_BAD_IMAGE, "The layer has no bytes");
    if (reg->max_blob_size != 0 && size > reg->max_blob_size)
        return err_set(err, ERR_TOO_LARGE, "a layer may have at most %llu bytes here",
                       (unsigned long long)reg->max_blob_size);
    fd = upload_dir_open_body(reg->dirfd, body_file, size, err);
    if (fd < 0)
        return -1;
    rc = push_layer(&p, fd, err);
    fdio_close(fd);
    return rc;
}

int
image_push_layer_file(const struct registry *reg, const struct digest *id, int fd,
                      const struct actor *actor, struct arena *arena, struct err *err)
{
    struct layer_push p = {.reg = reg, .id = id, .actor = actor};

    return check_waiting(&p, arena, err) == 0 ? push_layer(&p, fd, err) : -1;
}

/* ---- the checksum ---- */

struct verification {
    const struct registry *reg;
    const struct digest *id;
    const struct actor *actor;
    struct rec_image seen; /* what was compared */
    enum checksum_verdict verdict;
};

static int
settle_checksum(struct txn *t, void *arg, struct err *err)
{
    const struct verification *v = arg;
    struct rec_image r;
    int rc = tbl_image_get_for_update(t, v->id, &r, err);

    if (rc != 1)
        return rc < 0 ? -1 : no_image(err);
    if (!digest_equal(&r.checksum, &v->seen.checksum))
        return err_set(err, ERR_BUSY, "the image changed while it was verified");
    if (r.state == IMAGE_COMPLETE)
        return 0;
    if (check_owner(t, v->id, &r, v->actor, err) != 0)
        return -1;
    if (v->verdict == IMAGE_CHECKSUM_UNSURE)
        return 0;
    if (v->verdict == IMAGE_CHECKSUM_MISMATCH) {
        if (r.state == IMAGE_MISMATCHED || (rc = image_is_held(t, v->id, err)) != 0)
            return rc < 0 ? -1 : 0;
        r.state = IMAGE_MISMATCHED;
        return tbl_image_put(t, v->id, &r, err);
    }
    r.state = IMAGE_COMPLETE;
    lease(v->reg, &r, clock_wall_ms());
    if (tbl_image_put(t, v->id, &r, err) != 0)
        return -1;
    return tell_of_image(t, EVENT_VERIFY, v->id, NULL, v->actor, err);
}

static int
compare(struct verification *v, const char *checksum, const char *payload, struct bytes json,
        struct err *err)
{
    struct checksum_subject subject = {
        .json = json, .layer = &v->seen.layer, .payload = &v->seen.checksum};
    struct rec_blob layer;
    int rc = tbl_blob_get(kv_reads(v->reg->kv), &v->seen.layer, &layer, err), fd;

    if (rc != 1)
        return rc < 0 ? -1 : no_image(err);
    fd = blob_file_open(v->reg->blobs, &v->seen.layer, layer.instance, err);
    if (fd < 0)
        return -1;
    subject.fd = fd;
    rc = image_checksum_compare(&subject, checksum, payload, &v->verdict, err);
    fdio_close(fd);
    return rc;
}

int
image_push_verify(const struct registry *reg, const struct digest *id, const char *checksum,
                  const char *payload, const struct actor *actor, struct arena *arena,
                  struct err *err)
{
    struct verification v = {.reg = reg, .id = id, .actor = actor};
    struct bytes json;
    int rc = tbl_image_get(kv_reads(reg->kv), id, &v.seen, err);

    if (rc < 0)
        return -1;
    if (rc == 0 || v.seen.state == IMAGE_JSON)
        return no_image(err);
    if (v.seen.state != IMAGE_COMPLETE &&
        check_owner(kv_reads(reg->kv), id, &v.seen, actor, err) != 0)
        return -1;
    if (image_json(reg, id, arena, &json, err) != 0 ||
        compare(&v, checksum, payload, json, err) != 0 ||
        txn_run(reg->kv, settle_checksum, &v, err) != 0)
        return -1;
    if (v.verdict == IMAGE_CHECKSUM_MISMATCH)
        return err_set(err, ERR_DIGEST_MISMATCH, "Checksum mismatch");
    return 0;
}
