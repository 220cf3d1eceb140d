#include "protocol/v2/v2_upload.h"
#include "domain/core/blob.h"
#include "domain/name.h"
#include "domain/core/upload.h"
#include "protocol/http/range.h"
#include "protocol/http/reference.h"

/* Pieces of any size are accepted, however small (OCI distribution-spec 1.1, "Pushing a blob in
 * chunks"). But some clients cut a blob into pieces of exactly this size, or send it whole when it
 * is smaller. So it is a size with which they are fast. It isn't larger than other registries'
 * sizes, because those clients hold that much in memory: 1 MiB. */
#define CHUNK_ADVICE "1048576"

/* ---- replies ---- */

/* Headers that say where the upload is, and how far it has come. The inclusive form can't say
 * "nothing": clients expect 0-0 then. */
static int
add_state(struct call *c, const struct upload *u, struct err *err)
{
    if (call_header(c, err, "Location", "%s/v2/%s/blobs/uploads/%s", call_base(c), c->name,
                    u->id) != 0 ||
        call_header(c, err, "Docker-Upload-UUID", "%s", u->id) != 0)
        return -1;
    return call_header(c, err, "Range", "0-%llu",
                       (unsigned long long)(u->size > 0 ? u->size - 1 : 0));
}

static int
reply_state(struct call *c, int status, const struct upload *u, struct err *err)
{
    return add_state(c, u, err) != 0 ? -1 : call_empty(c, status);
}

static int
reply_created(struct call *c, const struct digest *d, struct err *err)
{
    char text[DIGEST_TEXT_MAX];

    digest_text(text, d);
    if (call_header(c, err, "Location", "%s/v2/%s/blobs/%s", call_base(c), c->name, text) != 0 ||
        call_header(c, err, "Docker-Content-Digest", "%s", text) != 0)
        return -1;
    return call_empty(c, 201);
}

/* ---- requests ---- */

static int
query_digest(const struct call *c, const char *name, struct digest *d, struct err *err)
{
    const char *text = query_get(&c->query, name);

    if (text == NULL)
        return err_set(err, ERR_BAD_DIGEST, "the parameter %s is missing", name);
    return reference_parse_digest(text, d, err);
}

static int
find_upload(struct call *c, struct upload *u, struct err *err)
{
    return upload_find(c->reg, c->name, c->last, &c->actor, u, err);
}

/* The piece in the request's body, and the place that it claims. */
static int
chunk_of(const struct call *c, struct upload_chunk *chunk, struct err *err)
{
    const char *range = c->req->header(c->req, "HTTP_CONTENT_RANGE");
    uint64_t last;

    *chunk = (struct upload_chunk){.body_file = c->req->body_file,
                                   .size = c->req->has_length ? c->req->content_length : 0};
    if (range == NULL || range[0] == '\0')
        return 0;
    if (!range_parse_content(range, &chunk->first, &last)) {
        err_set(err, ERR_BAD_RANGE, "invalid Content-Range %s", range);
        err_expected(err, "FIRST-LAST, the numbers of the first and the last byte");
        return err_found(err, "%s", range);
    }
    chunk->has_range = true;
    chunk->range_size = last - chunk->first + 1;
    return 0;
}

/* A piece that doesn't fit: 416, with the real position of the upload. */
static int
refuse_range(struct call *c, const struct upload *u, struct err *err)
{
    struct err ignored;

    if (err->code == ERR_BAD_RANGE)
        add_state(c, u, &ignored);
    return -1;
}

int
v2_upload_begin(struct call *c, struct err *err)
{
    const char *algorithm = query_get(&c->query, "digest-algorithm");
    struct upload u;

    /* Only a hint, since the bytes are hashed at the end; but an algorithm that can't be stored is
     * refused now. */
    if (algorithm != NULL && digest_algo_named(bytes_str(algorithm)) == DIGEST_NONE) {
        err_set(err, ERR_BAD_DIGEST, "unsupported digest-algorithm %s", algorithm);
        err_expected(err, "sha256 or sha512");
        return err_found(err, "%s", algorithm);
    }
    if (upload_begin(c->reg, c->name, &c->actor, &u, err) != 0)
        return -1;
    http_reply_header(c->reply, "OCI-Chunk-Min-Length", CHUNK_ADVICE);
    return reply_state(c, 202, &u, err);
}

int
v2_upload_mount(struct call *c, struct err *err)
{
    const char *from = query_get(&c->query, "from");
    struct err refused;
    struct digest d;
    int rc = 0;

    if (query_digest(c, "mount", &d, err) != 0)
        return -1;
    /* Without the right to pull from the source, the blob counts as absent there. */
    if (from == NULL || (name_is_repository(from) &&
                         access_check(c->reg, &c->actor, from, VERB_PULL, &refused) == 0))
        rc = blob_mount(c->reg, &c->actor, c->name, from, &d, err);
    if (rc < 0)
        return -1;
    return rc == 1 ? reply_created(c, &d, err) : v2_upload_begin(c, err);
}

static int
finish_upload(struct call *c, struct upload *u, const struct digest *d, struct err *err)
{
    struct upload_chunk chunk;

    if (chunk_of(c, &chunk, err) != 0 || upload_finish(c->reg, u, &chunk, d, err) != 0)
        return refuse_range(c, u, err);
    return reply_created(c, d, err);
}

int
v2_upload_whole(struct call *c, struct err *err)
{
    struct err ignored;
    struct upload u;
    struct digest d;

    if (query_digest(c, "digest", &d, err) != 0 ||
        upload_begin(c->reg, c->name, &c->actor, &u, err) != 0)
        return -1;
    if (finish_upload(c, &u, &d, err) == 0)
        return 0;
    upload_cancel(c->reg, &u, &ignored);
    return -1;
}

int
v2_upload_patch(struct call *c, struct err *err)
{
    struct upload_chunk chunk;
    struct upload u;

    if (find_upload(c, &u, err) != 0)
        return -1;
    if (chunk_of(c, &chunk, err) != 0 || upload_append(c->reg, &u, &chunk, err) != 0)
        return refuse_range(c, &u, err);
    return reply_state(c, 202, &u, err);
}

int
v2_upload_put(struct call *c, struct err *err)
{
    struct err ignored;
    struct upload u;
    struct digest d;
    struct blob b;

    if (query_digest(c, "digest", &d, err) != 0)
        return -1;
    if (find_upload(c, &u, err) == 0)
        return finish_upload(c, &u, &d, err);
    /* The answer to an earlier PUT may have been lost. The blob of that PUT is committed, so this
     * one succeeds too. */
    if (err->code == ERR_NO_UPLOAD && blob_find(c->reg, c->name, &d, true, &b, &ignored) == 1)
        return reply_created(c, &d, err);
    return -1;
}

int
v2_upload_status(struct call *c, struct err *err)
{
    struct upload u;

    return find_upload(c, &u, err) != 0 ? -1 : reply_state(c, 204, &u, err);
}

int
v2_upload_cancel(struct call *c, struct err *err)
{
    struct upload u;

    if (find_upload(c, &u, err) != 0 || upload_cancel(c->reg, &u, err) != 0)
        return -1;
    return call_empty(c, 204);
}
