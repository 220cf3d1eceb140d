#include "protocol/v1/v1_images.h"
#include "domain/v1/image.h"
#include "domain/v1/image_push.h"
#include "domain/v1/image_seen.h"
#include "domain/v1/image_by_id.h"
#include "domain/v1/image_view.h"
#include "protocol/http/range.h"
#include "protocol/v1/v1_base.h"
#include "util/arena.h"

/* ---- reading ---- */

/* The thing that an id names: an image of this API, or a view of one of the second API. */
struct shown {
    bool is_view;
    struct image_view view;
    struct image image;
};

static int
find_shown_image(struct call *c, struct shown *s, struct err *err)
{
    const struct platform *platform;
    struct err refused;
    struct digest id;
    bool may_push, has_image;
    int rc;

    if (image_resolve(c->reg, &c->actor, c->last, &id, err) != 0)
        return -1;
    rc = image_seen(c->reg, &c->actor, &id, IMAGE_READ, err);
    if (rc < 0)
        return -1;
    may_push = access_check(c->reg, &c->actor, NULL, VERB_PUSH, &refused) == 0;
    has_image = rc == 1 && image_find(c->reg, &id, may_push, &s->image, err) == 0;
    if ((rc == 1 && !has_image && err->code != ERR_NO_IMAGE) ||
        v1_base_platform(c, &platform, err) != 0)
        return -1;
    rc = image_by_id_find(c->reg, &c->actor, &id, platform, c->arena, &s->view, err);
    s->is_view = rc == 1;
    if (rc == 0 && !has_image)
        return err_set(err, ERR_NO_IMAGE, "Image not found");
    return rc < 0 ? -1 : 0;
}

/* 304, or the JSON. */
static int
send_json(struct call *c, const char *etag, struct bytes json, struct err *err)
{
    if (call_header(c, err, "ETag", "\"%s\"", etag) != 0)
        return -1;
    http_reply_header(c->reply, "Cache-Control", "no-cache");
    if (call_is_unchanged(c, etag))
        return call_empty(c, 304);
    return call_body(c, 200, "application/json", json);
}

/* The checksum over JSON and layer would take as long as reading the layer, and clients do without
 * it. */
static int
send_by_sum(struct call *c, struct bytes json, struct err *err)
{
    char etag[DIGEST_TEXT_MAX];
    struct digest sum;

    digest_of(&sum, DIGEST_SHA256, json);
    digest_text(etag, &sum);
    return send_json(c, etag, json, err);
}

static int
view_json(struct call *c, const struct image_view *v, struct err *err)
{
    char path[BLOB_FILE_PATH_MAX];
    struct bytes json;
    uint64_t size;
    int rc = image_view_layer(c->reg, v, &size, path, err);

    if (rc < 0 || image_view_json(v, c->arena, &json, err) != 0)
        return -1;
    if (rc == 1 && call_header(c, err, "X-Docker-Size", "%llu", (unsigned long long)size) != 0)
        return -1;
    return send_by_sum(c, json, err);
}

int
v1_images_get_json(struct call *c, struct err *err)
{
    char checksum[DIGEST_TEXT_MAX];
    struct shown s;
    struct bytes json;

    if (find_shown_image(c, &s, err) != 0)
        return -1;
    if (s.is_view)
        return view_json(c, &s.view, err);
    if (call_header(c, err, "X-Docker-Size", "%llu", (unsigned long long)s.image.size) != 0 ||
        image_json(c->reg, &s.image.id, c->arena, &json, err) != 0)
        return -1;
    if (s.image.checksum.algo == DIGEST_NONE) /* it was a view before (image_of_manifest.h) */
        return send_by_sum(c, json, err);
    digest_text(checksum, &s.image.checksum);
    if (call_header(c, err, "X-Docker-Checksum", "%s", checksum) != 0 ||
        call_header(c, err, "X-Docker-Checksum-Payload", "%s", checksum) != 0)
        return -1;
    return send_json(c, checksum, json, err);
}

/* path: below layers/; "" for the one layer that is no file. */
static int
send_layer(struct call *c, const struct digest *layer, uint64_t size, const char *path,
           struct err *err)
{
    const char *range = c->req->header(c->req, "HTTP_RANGE");
    char digest[DIGEST_TEXT_MAX];
    enum range_kind kind = range != NULL ? range_judge(range, size) : RANGE_GOOD;

    if (kind == RANGE_UNSATISFIABLE)
        return call_header(c, err, "Content-Range", "bytes */%llu", (unsigned long long)size) != 0
                   ? -1
                   : call_empty(c, 416);
    if (path[0] == '\0')
        return call_body(c, 200, "application/octet-stream", image_view_empty());
    http_reply_header(c->reply, "Content-Type", "application/octet-stream");
    digest_text(digest, layer);
    if (call_header(c, err, "ETag", "\"%s\"", digest) != 0)
        return -1;
    if (call_is_unchanged(c, digest))
        return call_empty(c, 304);
    return call_file(c, path, size, kind == RANGE_GOOD ? FILE_RANGES : FILE_WHOLE, "no-cache", err);
}

int
v1_images_get_layer(struct call *c, struct err *err)
{
    char path[BLOB_FILE_PATH_MAX], digest[DIGEST_TEXT_MAX];
    struct shown s;
    uint64_t size;
    int rc;

    if (find_shown_image(c, &s, err) != 0)
        return -1;
    if (!s.is_view)
        return send_layer(c, &s.image.layer, s.image.size, s.image.path, err);
    rc = image_view_layer(c->reg, &s.view, &size, path, err);
    digest_text(digest, &s.view.layers[0]);
    if (rc == 0)
        return err_set(err, ERR_NO_IMAGE,
                       "the layer %s isn't in this registry: the image's manifest says where it is",
                       digest);
    return rc < 0 ? -1 : send_layer(c, &s.view.layers[0], size, path, err);
}

int
v1_images_get_ancestry(struct call *c, struct err *err)
{
    struct digest *chain = arena_array(c->arena, IMAGE_CHAIN_MAX, sizeof *chain);
    struct json *body;
    struct shown s;
    size_t n;

    if (chain == NULL)
        return arena_full(err);
    if (find_shown_image(c, &s, err) != 0)
        return -1;
    if (!s.is_view && image_ancestry(c->reg, &s.image.id, chain, &n, err) != 0)
        return -1;
    if (s.is_view) {
        chain = s.view.ids;
        n = s.view.n;
    }
    body = json_new_array();
    for (size_t i = 0; i < n; i++) {
        char hex[DIGEST_TEXT_MAX];

        digest_hex(hex, &chain[i]);
        json_add_string(body, hex);
    }
    return call_json(c, 200, body, err);
}

/* ---- writing ---- */

static int
parse_id(struct call *c, struct digest *id, struct err *err)
{
    return digest_parse_v1_id(id, c->last, strlen(c->last), err);
}

int
v1_images_put_json(struct call *c, struct err *err)
{
    struct digest id;

    if (parse_id(c, &id, err) != 0 ||
        image_push_json(c->reg, &id, c->req->body, &c->actor, err) != 0)
        return -1;
    return v1_base_done(c);
}

int
v1_images_put_layer(struct call *c, struct err *err)
{
    const struct http_request *req = c->req;
    struct digest id;

    if (parse_id(c, &id, err) != 0 ||
        image_push_layer(c->reg, &id, req->body_file, req->has_length ? req->content_length : 0,
                         &c->actor, c->arena, err) != 0)
        return -1;
    return v1_base_done(c);
}

int
v1_images_put_checksum(struct call *c, struct err *err)
{
    const char *checksum = c->req->header(c->req, "HTTP_X_DOCKER_CHECKSUM");
    const char *payload = c->req->header(c->req, "HTTP_X_DOCKER_CHECKSUM_PAYLOAD");
    struct digest id;

    if (parse_id(c, &id, err) != 0 ||
        image_push_verify(c->reg, &id, checksum, payload, &c->actor, c->arena, err) != 0)
        return -1;
    return v1_base_done(c);
}
