#include "storage/s3/s3_client.h"
#include <stdio.h>
#include <string.h>
#include "storage/s3/s3_exchange.h"
#include "storage/s3/s3_parts.h"
#include "storage/s3/s3_xml.h"
#include "util/clock.h"
#include "util/parse.h"

/* A list of a thousand keys. */
#define LIST_MAX (4u << 20)
#define LIST "ListBucketResult"
/* Pages without a key, one after the other, that a list may have. */
#define EMPTY_PAGES_MAX 100
#define ANSWER_MAX (64u << 10)
#define QUERY_MAX 4096

/* ---- storing ---- */

static int
put_object(struct s3_exchange *x, const char *key, const struct digest *sha256, struct err *err)
{
    char hex[DIGEST_TEXT_MAX];
    struct err ignored;
    int rc;

    digest_hex(hex, sha256);
    x->r.method = "PUT";
    x->r.sha256 = hex;
    x->has_body = true;
    rc = s3_exchange_run(x, key, err);
    if (rc == 0)
        return err_set(err, ERR_FAULT, "S3 has no bucket %s", x->b->bucket);
    /* Not all servers compare the bytes with the header. */
    if (rc == 1 && !digest_equal(&x->sum, sha256)) {
        (void)s3_client_delete(x->b, key, &ignored);
        return err_set(err, ERR_FAULT, "the bytes of %.100s have changed since they were hashed",
                       key);
    }
    return rc == 1 ? 0 : -1;
}

int
s3_client_put(struct s3_bucket *b, const char *key, int fd, uint64_t n, const struct digest *sha256,
              struct err *err)
{
    struct s3_exchange x = {.b = b, .from = fd, .n = n, .to = -1};

    if (n > b->put_max)
        return s3_parts_put(b, key, fd, n, sha256, err);
    return put_object(&x, key, sha256, err);
}

int
s3_client_put_bytes(struct s3_bucket *b, const char *key, struct bytes content, struct err *err)
{
    struct s3_exchange x = {.b = b, .from = -1, .content = content, .n = content.n, .to = -1};
    struct digest d;

    digest_of(&d, DIGEST_SHA256, content);
    return put_object(&x, key, &d, err);
}

/* ---- reading ---- */

int
s3_client_get(struct s3_bucket *b, const char *key, int fd, uint64_t most, uint64_t rate,
              uint64_t *bytes, struct digest *got, struct err *err)
{
    struct s3_exchange x = {
        .b = b, .r.method = "GET", .to = fd, .most = most, .rate = rate, .got = got, .from = -1};
    int rc = s3_exchange_run(&x, key, err);

    *bytes = x.received;
    return rc;
}

int
s3_client_get_bytes(struct s3_bucket *b, const char *key, struct buf *out, struct err *err)
{
    struct s3_exchange x = {.b = b, .r.method = "GET", .to = -1, .from = -1, .object = out};

    return s3_exchange_run(&x, key, err);
}

int
s3_client_head(struct s3_bucket *b, const char *key, struct s3_object *o, struct err *err)
{
    struct s3_exchange x = {.b = b, .r.method = "HEAD", .to = -1, .from = -1};
    int rc = s3_exchange_run(&x, key, err);

    if (rc == 1 && x.length < 0)
        return err_set(err, ERR_FAULT, "S3 doesn't tell the size of %.100s", key);
    if (rc == 1) {
        snprintf(o->key, sizeof o->key, "%s", key);
        o->size = (uint64_t)x.length;
        o->modified_s = x.modified_s;
    }
    return rc;
}

int
s3_client_delete(struct s3_bucket *b, const char *key, struct err *err)
{
    struct s3_exchange x = {.b = b, .r.method = "DELETE", .to = -1, .from = -1};

    return s3_exchange_run(&x, key, err) < 0 ? -1 : 0;
}

int
s3_client_copy(struct s3_bucket *b, const char *from, const char *to, struct err *err)
{
    char source[2 * S3_PATH_MAX];
    struct buf answer;
    struct s3_exchange x = {.b = b,
                            .r.method = "PUT",
                            .r.copy_of = source,
                            .to = -1,
                            .from = -1,
                            .has_body = true,
                            .object = &answer,
                            .root = "CopyObjectResult"};
    int rc;

    snprintf(source, sizeof source, "%s%s", b->path, from);
    buf_init(&answer, ANSWER_MAX);
    rc = s3_exchange_run(&x, to, err);
    buf_free(&answer);
    return rc;
}

/* ---- lists ---- */

static int
read_time(struct bytes text, int64_t *seconds)
{
    char copy[sizeof "2026-11-23T17:01:01Z"];
    uint64_t s;

    snprintf(copy, sizeof copy, "%.*s", (int)(text.n < 19 ? text.n : 19), (const char *)text.p);
    if (text.n < 19)
        return -1;
    memcpy(copy + 19, "Z", 2); /* instead of the fraction of a second */
    if (!clock_parse_utc(copy, &s))
        return -1;
    *seconds = (int64_t)s;
    return 0;
}

static int
read_entry(const struct s3_bucket *b, struct bytes one, struct s3_object *o, struct err *err)
{
    const char *prefix = b->path + strlen(b->bucket) + 2, *name;
    struct bytes size = s3_xml_text(one, "Size");
    struct buf key;
    int rc = 0;

    buf_init(&key, 2 * S3_PATH_MAX);
    if (!s3_xml_decode(&key, s3_xml_text(one, "Key")) ||
        strncmp(buf_text(&key), prefix, strlen(prefix)) != 0 ||
        strlen(name = buf_text(&key) + strlen(prefix)) >= sizeof o->key ||
        !parse_u64(size.p, size.n, &o->size) ||
        read_time(s3_xml_text(one, "LastModified"), &o->modified_s) != 0)
        rc = err_set(err, ERR_FAULT, "S3 sends a list that can't be read");
    else
        memcpy(o->key, name, strlen(name) + 1);
    buf_free(&key);
    return rc;
}

static void
write_list_query(const struct s3_bucket *b, const char *prefix, const struct buf *token,
                 struct buf *query)
{
    if (token->n > 0) {
        buf_puts(query, "continuation-token=");
        s3_sign_escape(query, buf_text(token));
        buf_putc(query, '&');
    }
    buf_puts(query, "list-type=2&prefix=");
    s3_sign_escape(query, b->path + strlen(b->bucket) + 2);
    s3_sign_escape(query, prefix);
}

/* A list on its way. */
struct listing {
    struct s3_bucket *b;
    const char *prefix;
    struct buf token; /* where the next page begins; n 0: there is none */
    unsigned empty;   /* pages without a key */
    int (*fn)(const struct s3_object *o, int64_t now_s, void *arg, struct err *err);
    void *arg;
};

/* Takes the token of the page. A list that doesn't go on has no end. */
static int
take_token(struct listing *l, struct bytes page, bool has_keys, struct err *err)
{
    struct bytes next = s3_xml_text(page, "NextContinuationToken");
    struct buf token;
    int rc = 0;

    buf_init(&token, QUERY_MAX / 4);
    l->empty = has_keys ? 0 : l->empty + 1;
    if (next.n > 0 && (!s3_xml_decode(&token, next) || l->empty > EMPTY_PAGES_MAX ||
                       bytes_equal(buf_bytes(&token), buf_bytes(&l->token))))
        rc = err_set(err, ERR_FAULT, "S3 sends a list without end");
    buf_reset(&l->token);
    buf_put(&l->token, token.p, token.n);
    buf_free(&token);
    return rc;
}

static int
list_page(struct listing *l, struct err *err)
{
    struct buf page, query;
    struct s3_exchange x = {
        .b = l->b, .r.method = "GET", .to = -1, .from = -1, .object = &page, .root = LIST};
    struct s3_object o;
    struct bytes rest, one;
    bool has_keys = false;
    int rc;

    buf_init(&page, LIST_MAX);
    buf_init(&query, QUERY_MAX);
    write_list_query(l->b, l->prefix, &l->token, &query);
    x.r.query = buf_text(&query);
    rc = s3_exchange_run(&x, NULL, err);
    if (rc == 0)
        err_set(err, ERR_FAULT, "S3 has no bucket %s", l->b->bucket);
    rc = rc == 1 ? 0 : -1;
    rest = buf_bytes(&page);
    while (rc == 0 && (one = s3_xml_next(&rest, "Contents")).p != NULL) {
        has_keys = true;
        if ((rc = read_entry(l->b, one, &o, err)) == 0)
            rc = l->fn(&o, x.date_s, l->arg, err);
    }
    if (rc == 0)
        rc = take_token(l, buf_bytes(&page), has_keys, err);
    buf_free(&query);
    buf_free(&page);
    return rc;
}

int
s3_client_list(struct s3_bucket *b, const char *prefix,
               int (*fn)(const struct s3_object *o, int64_t now_s, void *arg, struct err *err),
               void *arg, struct err *err)
{
    struct listing l = {.b = b, .prefix = prefix, .fn = fn, .arg = arg};
    int rc;

    buf_init(&l.token, QUERY_MAX / 4);
    do
        rc = list_page(&l, err);
    while (rc == 0 && l.token.n > 0);
    buf_free(&l.token);
    return rc < 0 ? -1 : 0;
}
