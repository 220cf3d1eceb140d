#include "protocol/v1_images.h"

#include <string.h>

#include "domain/image.h"
#include "domain/image_push.h"
#include "protocol/range.h"
#include "protocol/v1_base.h"
#include "protocol/v2_base.h"
#include "util/banned.h"

/* ---- reading ---- */

static int
find(struct call *c, struct image *image, struct err *err)
{
    struct err refused;
    struct digest id;
    bool may_push;

    if (image_resolve(c->reg, c->last, &id, err) != 0)
        return -1;
    may_push = access_check(c->reg, &c->actor, NULL, VERB_PUSH, &refused) == 0;
    return image_find(c->reg, &id, may_push, image, err);
}

int
v1_images_get_json(struct call *c, struct err *err)
{
    char checksum[DIGEST_TEXT_MAX];
    struct image image;

    if (find(c, &image, err) != 0)
        return -1;
    digest_text(checksum, &image.checksum);
    if (call_header(c, err, "X-Docker-Size", "%llu", (unsigned long long)image.size) != 0 ||
        call_header(c, err, "X-Docker-Checksum", "%s", checksum) != 0 ||
        call_header(c, err, "X-Docker-Checksum-Payload", "%s", checksum) != 0 ||
        call_header(c, err, "ETag", "\"%s\"", checksum) != 0)
        return -1;
    http_reply_header(c->reply, "Cache-Control", "no-cache");
    if (v2_is_unchanged(c, checksum))
        return call_empty(c, 304);
    if (image_json(c->reg, &image.id, c->arena, &c->reply->body, err) != 0)
        return -1;
    http_reply_header(c->reply, "Content-Type", "application/json");
    c->reply->status = 200;
    return 0;
}

int
v1_images_get_layer(struct call *c, struct err *err)
{
    const char *range = c->req->header(c->req, "HTTP_RANGE");
    char digest[DIGEST_TEXT_MAX];
    struct image image;
    enum range_kind kind;

    if (find(c, &image, err) != 0)
        return -1;
    kind = range != NULL ? range_judge(range, image.size) : RANGE_GOOD;
    if (kind == RANGE_UNSATISFIABLE)
        return call_header(c, err, "Content-Range", "bytes */%llu",
                           (unsigned long long)image.size) != 0
                   ? -1
                   : call_empty(c, 416);
    digest_text(digest, &image.layer);
    http_reply_header(c->reply, "Content-Type", "application/octet-stream");
    if (call_header(c, err, "ETag", "\"%s\"", digest) != 0)
        return -1;
    if (v2_is_unchanged(c, digest))
        return call_empty(c, 304);
    return call_file(c, image.path, kind == RANGE_GOOD ? FILE_RANGES : FILE_WHOLE, "no-cache", err);
}

int
v1_images_get_ancestry(struct call *c, struct err *err)
{
    struct digest *chain = arena_array(c->arena, IMAGE_CHAIN_MAX, sizeof *chain);
    struct json *body;
    struct image image;
    size_t n;

    if (chain == NULL)
        return err_set(err, ERR_SYSTEM, "no memory for an image's parents");
    if (find(c, &image, err) != 0 || image_ancestry(c->reg, &image.id, chain, &n, err) != 0)
        return -1;
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
