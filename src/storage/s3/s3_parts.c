#include "storage/s3/s3_parts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "storage/s3/s3_exchange.h"
#include "storage/s3/s3_xml.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/mem.h"

#define PART_BYTES (UINT64_C(256) << 20)
#define PARTS_MAX 10000
#define PIECE (1u << 20)
#define ANSWER_MAX (4u << 20)
#define ID_MAX 2048
#define QUERY_MAX (3 * ID_MAX + 64)
#define LIST_MAX (PARTS_MAX * (S3_ETAG_MAX * 6 + 64))

struct parts {
    struct s3_bucket *b;
    const char *key;
    int fd;
    uint64_t n, size; /* of the object, and of a part */
    struct buf id;    /* of the upload, escaped for a query */
    struct buf list;  /* the XML that ends it */
    struct digest_state *whole;
};

/* One request for the object, whose answer is XML, or nothing that matters. 1, 0, -1. */
static int
ask(const struct parts *p, struct s3_exchange *x, const char *what, unsigned part, struct err *err)
{
    struct buf query;
    int rc;

    buf_init(&query, QUERY_MAX);
    if (part > 0)
        buf_putf(&query, "partNumber=%u&", part);
    buf_puts(&query, what);
    buf_put(&query, p->id.p, p->id.n);
    x->b = p->b;
    x->to = -1;
    x->r.query = buf_text(&query);
    rc = s3_exchange_run(x, p->key, err);
    buf_free(&query);
    return rc;
}

static int
begin_parts(struct parts *p, struct err *err)
{
    struct buf answer, id;
    struct s3_exchange x = {.r.method = "POST",
                            .from = -1,
                            .has_body = true,
                            .object = &answer,
                            .root = "InitiateMultipartUploadResult"};
    int rc;

    buf_init(&answer, ANSWER_MAX);
    buf_init(&id, ID_MAX);
    rc = ask(p, &x, "uploads=", 0, err);
    if (rc == 1 && (!s3_xml_decode(&id, s3_xml_text(buf_bytes(&answer), "UploadId")) || id.n == 0))
        rc = 0;
    if (rc == 0)
        rc = err_set(err, ERR_FAULT, "S3 doesn't begin an upload in parts");
    s3_sign_escape(&p->id, buf_text(&id));
    buf_free(&id);
    buf_free(&answer);
    return rc == 1 ? 0 : -1;
}

/* Of what the file has now; the bytes that are sent are compared with it. */
static int
hash_part(struct parts *p, uint64_t at, uint64_t n, struct digest *d, struct err *err)
{
    struct digest_state *s = digest_begin(DIGEST_SHA256);
    uint8_t *piece = mem_alloc(PIECE);
    ssize_t got = 1;

    while (n > 0 && got > 0) {
        got = fdio_read_at(p->fd, piece, n < PIECE ? (size_t)n : PIECE, at);
        if (got > 0) {
            digest_update(s, piece, (size_t)got);
            digest_update(p->whole, piece, (size_t)got);
            at += (uint64_t)got;
            n -= (uint64_t)got;
        }
    }
    digest_end(s, d);
    free(piece);
    return n == 0 ? 0 : err_set(err, ERR_FAULT, "cannot read the file of a blob");
}

static int
put_part(struct parts *p, unsigned number, uint64_t at, uint64_t n, struct err *err)
{
    char hex[DIGEST_TEXT_MAX];
    struct digest d;
    struct s3_exchange x = {
        .r.method = "PUT", .r.sha256 = hex, .has_body = true, .from = p->fd, .from_at = at, .n = n};
    int rc;

    if (hash_part(p, at, n, &d, err) != 0)
        return -1;
    digest_hex(hex, &d);
    rc = ask(p, &x, "uploadId=", number, err);
    if (rc == 1 && (!digest_equal(&x.sum, &d) || x.etag[0] == '\0'))
        rc = 0;
    if (rc != 1)
        return rc < 0 ? -1 : err_set(err, ERR_FAULT, "S3 doesn't take a part of %.100s", p->key);
    buf_putf(&p->list, "<Part><PartNumber>%u</PartNumber><ETag>", number);
    s3_xml_encode(&p->list, x.etag);
    buf_puts(&p->list, "</ETag></Part>");
    return 0;
}

static int
send_parts(struct parts *p, const struct digest *sha256, struct err *err)
{
    struct digest whole;
    unsigned number = 0;
    int rc = 0;

    p->whole = digest_begin(DIGEST_SHA256);
    for (uint64_t at = 0; rc == 0 && at < p->n; at += p->size)
        rc = put_part(p, ++number, at, p->n - at < p->size ? p->n - at : p->size, err);
    digest_end(p->whole, &whole);
    if (rc == 0 && !digest_equal(&whole, sha256))
        rc = err_set(err, ERR_FAULT, "the bytes of %.100s have changed since they were hashed",
                     p->key);
    return rc;
}

/* If the answer was lost, the repeated request finds no upload, but the object. */
static int
end_parts(struct parts *p, struct err *err)
{
    char hex[DIGEST_TEXT_MAX];
    struct buf answer;
    struct digest d;
    struct s3_exchange look = {.b = p->b, .r.method = "HEAD", .to = -1, .from = -1};
    struct s3_exchange x = {.r.method = "POST",
                            .r.sha256 = hex,
                            .from = -1,
                            .has_body = true,
                            .object = &answer,
                            .root = "CompleteMultipartUploadResult"};
    int rc;

    buf_puts(&p->list, "</CompleteMultipartUpload>");
    if (!buf_ok(&p->list))
        return err_set(err, ERR_FAULT, "S3 gives parts names that are too long");
    x.content = buf_bytes(&p->list);
    x.n = p->list.n;
    digest_of(&d, DIGEST_SHA256, x.content);
    digest_hex(hex, &d);
    buf_init(&answer, ANSWER_MAX);
    rc = ask(p, &x, "uploadId=", 0, err);
    buf_free(&answer);
    if (rc == 0 && s3_exchange_run(&look, p->key, err) == 1 && look.length == (int64_t)p->n)
        rc = 1;
    if (rc == 0)
        err_set(err, ERR_BUSY, "S3 doesn't end an upload in parts");
    return rc == 1 ? 0 : -1;
}

static int
give_up_parts(const struct parts *p, struct err *err)
{
    struct s3_exchange x = {.r.method = "DELETE", .from = -1};

    return ask(p, &x, "uploadId=", 0, err) < 0 ? -1 : 0;
}

int
s3_parts_put(struct s3_bucket *b, const char *key, int fd, uint64_t n, const struct digest *sha256,
             struct err *err)
{
    struct parts p = {.b = b, .key = key, .fd = fd, .n = n};
    struct err ignored;
    int rc;

    p.size = b->put_max < PART_BYTES ? b->put_max : PART_BYTES;
    if (p.size < (n + PARTS_MAX - 1) / PARTS_MAX)
        p.size = (n + PARTS_MAX - 1) / PARTS_MAX;
    buf_init(&p.id, 3 * ID_MAX);
    buf_init(&p.list, LIST_MAX);
    buf_puts(&p.list, "<CompleteMultipartUpload>");
    rc = begin_parts(&p, err);
    if (rc == 0) {
        rc = send_parts(&p, sha256, err);
        if (rc == 0)
            rc = end_parts(&p, err);
        if (rc != 0)
            (void)give_up_parts(&p, &ignored);
    }
    buf_free(&p.list);
    buf_free(&p.id);
    return rc;
}

/* ---- what a crash has left ---- */

/* One <Upload> of the list. */
static int
sweep_one(struct s3_bucket *b, struct bytes one, int64_t before_s, struct err *err)
{
    const char *prefix = b->path + strlen(b->bucket) + 2;
    struct bytes began = s3_xml_text(one, "Initiated");
    char time[sizeof "2026-11-23T17:01:01Z"] = "";
    struct parts p = {.b = b};
    struct buf key, id;
    uint64_t began_s;
    int rc = 0;

    snprintf(time, sizeof time, "%.*sZ", (int)(began.n < 19 ? began.n : 19),
             began.n > 0 ? (const char *)began.p : "");
    buf_init(&key, 2 * S3_PATH_MAX);
    buf_init(&id, ID_MAX);
    buf_init(&p.id, 3 * ID_MAX);
    if (s3_xml_decode(&key, s3_xml_text(one, "Key")) &&
        s3_xml_decode(&id, s3_xml_text(one, "UploadId")) &&
        strncmp(buf_text(&key), prefix, strlen(prefix)) == 0 && clock_parse_utc(time, &began_s) &&
        (int64_t)began_s < before_s) {
        p.key = buf_text(&key) + strlen(prefix);
        s3_sign_escape(&p.id, buf_text(&id));
        rc = give_up_parts(&p, err);
    }
    buf_free(&p.id);
    buf_free(&id);
    buf_free(&key);
    return rc;
}

int
s3_parts_sweep(struct s3_bucket *b, int64_t age_s, struct err *err)
{
    struct buf page, query;
    struct s3_exchange x = {.b = b,
                            .r.method = "GET",
                            .to = -1,
                            .from = -1,
                            .object = &page,
                            .root = "ListMultipartUploadsResult"};
    struct bytes rest, one;
    int rc;

    buf_init(&page, ANSWER_MAX);
    buf_init(&query, QUERY_MAX);
    buf_puts(&query, "prefix=");
    s3_sign_escape(&query, b->path + strlen(b->bucket) + 2);
    buf_puts(&query, "&uploads=");
    x.r.query = buf_text(&query);
    rc = s3_exchange_run(&x, NULL, err) < 0 ? -1 : 0;
    rest = buf_bytes(&page);
    while (rc == 0 && (one = s3_xml_next(&rest, "Upload")).p != NULL)
        rc = sweep_one(b, one, x.date_s - age_s, err);
    buf_free(&query);
    buf_free(&page);
    return rc;
}
