#include "protocol/v2/v2_blob.h"
#include "domain/core/blob.h"
#include "protocol/http/range.h"
#include "protocol/http/reference.h"

/* A blob never changes under its digest. */
#define BLOB_CACHE "max-age=31536000, immutable"
/* Up to this size a worker sends a blob faster than it could let nginx send it. */
#define BLOB_SHORT (8u << 10)

static int
add_blob_headers(struct call *c, const char *digest, struct err *err)
{
    http_reply_header(c->reply, "Docker-Content-Digest", digest);
    http_reply_header(c->reply, "Content-Type", "application/octet-stream");
    return call_header(c, err, "ETag", "\"%s\"", digest);
}

static int
refuse_extent(uint64_t size, const char *range, struct err *err)
{
    err_set(err, ERR_BAD_EXTENT, "the blob has %llu bytes: none of them is in the range %s",
            (unsigned long long)size, range);
    err_expected(err, "bytes of the first %llu", (unsigned long long)size);
    return err_found(err, "%s", range);
}

/* Answers without nginx: to HEAD, and with a small blob, which mostly is a config. 1; 0: nginx has
 * to send the file, or to say why it can't; -1. */
static int
answer_at_once(struct call *c, const struct digest *d, const struct blob *b, struct err *err)
{
    bool head = c->req->method == HTTP_HEAD;
    struct bytes bytes = {.n = 0};
    char date[HTTP_DATE_MAX];
    int64_t modified;
    int rc;

    if ((!head && b->size > BLOB_SHORT) || !blob_has_file(c->reg, d, b, &modified))
        return 0;
    rc = head ? 1 : blob_read(c->reg, d, b, c->arena, &bytes, err);
    if (rc != 1)
        return rc;
    http_date(date, modified);
    http_reply_header(c->reply, "Accept-Ranges", "bytes");
    http_reply_header(c->reply, "Cache-Control", BLOB_CACHE);
    c->reply->status = 200;
    c->reply->body = bytes;
    c->reply->length_known = true;
    c->reply->length = b->size;
    return call_header(c, err, "Last-Modified", "%s", date) == 0 ? 1 : -1;
}

int
v2_blob_get(struct call *c, struct err *err)
{
    const char *range = c->req->header(c->req, "HTTP_RANGE");
    char text[DIGEST_TEXT_MAX];
    const char *digest;
    struct digest d;
    struct blob b;
    enum range_kind kind;
    bool may_push;
    int rc;

    if (reference_parse_digest(c->last, &d, err) != 0)
        return -1;
    /* A pushing client sends HEAD to learn which blobs it can omit, and relies on the answer. */
    may_push = c->req->method == HTTP_HEAD &&
               access_check(c->reg, &c->actor, c->name, VERB_PUSH, err) == 0;
    if (blob_need(c->reg, c->name, &d, may_push, &b, err) != 0)
        return -1;
    digest_text(text, &d);
    if (call_text(c, &digest, err, "%s", text) != 0)
        return -1;
    kind = range != NULL ? range_judge(range, b.size) : RANGE_GOOD;
    if (kind == RANGE_UNSATISFIABLE || kind == RANGE_BACKWARDS) {
        if (call_header(c, err, "Content-Range", "bytes */%llu", (unsigned long long)b.size) != 0)
            return -1;
        return refuse_extent(b.size, range, err);
    }
    if (add_blob_headers(c, digest, err) != 0)
        return -1;
    if (call_is_unchanged(c, text))
        return call_empty(c, 304);
    rc = range == NULL ? answer_at_once(c, &d, &b, err) : 0;
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    return call_file(c, b.path, b.size, kind == RANGE_IGNORED ? FILE_WHOLE : FILE_RANGES,
                     BLOB_CACHE, err);
}

int
v2_blob_delete(struct call *c, struct err *err)
{
    struct condition condition;
    struct digest d;

    if (reference_parse_digest(c->last, &d, err) != 0 || call_condition(c, &condition, err) != 0)
        return -1;
    if (blob_delete(c->reg, c->name, &d, &condition, &c->actor, c->arena, err) == 0)
        return call_empty(c, 202);
    /* RFC 9110 15.5.6: the methods that are allowed at this moment. */
    if (err->code == ERR_IN_USE)
        http_reply_header(c->reply, "Allow", "OPTIONS, GET, HEAD");
    return -1;
}
