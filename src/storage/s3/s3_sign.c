#include "storage/s3/s3_sign.h"
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "util/digest.h"
#include "util/hex.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define TEXT_MAX 8192

struct signing {
    const struct s3_bucket *b;
    char time[32];   /* 20130524T000000Z */
    char scope[128]; /* 20130524/us-east-1/s3/aws4_request */
};

static void
begin_signing(struct signing *s, const struct s3_bucket *b, uint64_t time_s)
{
    time_t t = (time_t)time_s;
    struct tm tm;

    s->b = b;
    gmtime_r(&t, &tm);
    strftime(s->time, sizeof s->time, "%Y%m%dT%H%M%SZ", &tm);
    snprintf(s->scope, sizeof s->scope, "%.8s/%s/s3/aws4_request", s->time, b->region);
}

static bool
hmac_text(uint8_t key[DIGEST_HMAC_BYTES], const char *text)
{
    uint8_t out[DIGEST_HMAC_BYTES];
    bool good = digest_hmac_sha256(out, bytes_of(key, DIGEST_HMAC_BYTES), bytes_str(text));

    memcpy(key, out, sizeof out);
    return good;
}

/* The signature of a canonical request, as hex digits. */
static int
sign_canonical(const struct signing *s, const struct buf *canonical, char out[S3_SHA256_HEX_MAX],
               struct err *err)
{
    char first[S3_KEY_MAX + 8], date[16], hash[DIGEST_TEXT_MAX], text[512];
    uint8_t key[DIGEST_HMAC_BYTES];
    struct digest d;
    bool good;

    digest_of(&d, DIGEST_SHA256, buf_bytes(canonical));
    digest_hex(hash, &d);
    snprintf(first, sizeof first, "AWS4%s", s->b->secret_key);
    snprintf(date, sizeof date, "%.8s", s->time);
    snprintf(text, sizeof text, ALGORITHM "\n%s\n%s\n%s", s->time, s->scope, hash);
    good = buf_ok(canonical) && d.algo == DIGEST_SHA256 &&
           digest_hmac_sha256(key, bytes_str(first), bytes_str(date)) &&
           hmac_text(key, s->b->region) && hmac_text(key, "s3") && hmac_text(key, "aws4_request") &&
           hmac_text(key, text);
    explicit_bzero(first, sizeof first);
    if (good)
        hex_encode(out, key, sizeof key);
    explicit_bzero(key, sizeof key);
    return good ? 0 : err_set(err, ERR_SYSTEM, "cannot sign a request to S3");
}

int
s3_sign_headers(const struct s3_bucket *b, const struct s3_request *r, struct buf *out,
                struct err *err)
{
    const char *copy = r->copy_of != NULL ? "x-amz-copy-source;" : "";
    char signature[S3_SHA256_HEX_MAX];
    struct buf text;
    struct signing s;
    int rc;

    begin_signing(&s, b, r->time_s);
    buf_init(&text, TEXT_MAX);
    buf_putf(&text, "%s\n%s\n%s\nhost:%s\nx-amz-content-sha256:%s\n", r->method, r->path, r->query,
             b->host, r->sha256);
    if (r->copy_of != NULL)
        buf_putf(&text, "x-amz-copy-source:%s\n", r->copy_of);
    buf_putf(&text, "x-amz-date:%s\n\nhost;x-amz-content-sha256;%sx-amz-date\n%s", s.time, copy,
             r->sha256);
    rc = sign_canonical(&s, &text, signature, err);
    buf_free(&text);
    if (rc != 0)
        return -1;
    buf_putf(out,
             "Authorization: " ALGORITHM
             " Credential=%s/%s,SignedHeaders=host;x-amz-content-sha256;%sx-amz-date,Signature=%s",
             b->access_key, s.scope, copy, signature);
    buf_putc(out, '\0');
    buf_putf(out, "x-amz-date: %s", s.time);
    buf_putc(out, '\0');
    buf_putf(out, "x-amz-content-sha256: %s", r->sha256);
    buf_putc(out, '\0');
    if (r->copy_of != NULL) {
        buf_putf(out, "x-amz-copy-source: %s", r->copy_of);
        buf_putc(out, '\0');
    }
    return buf_ok(out) ? 0 : err_set(err, ERR_SYSTEM, "a request to S3 is too long");
}

int
s3_sign_query(const struct s3_bucket *b, const char *path, uint64_t time_s, unsigned expires_s,
              struct buf *out, struct err *err)
{
    char signature[S3_SHA256_HEX_MAX];
    struct buf query, text;
    struct signing s;
    int rc;

    begin_signing(&s, b, time_s);
    buf_init(&query, TEXT_MAX);
    buf_puts(&query, "X-Amz-Algorithm=" ALGORITHM "&X-Amz-Credential=");
    s3_sign_escape(&query, b->access_key);
    buf_puts(&query, "%2F");
    s3_sign_escape(&query, s.scope);
    buf_putf(&query, "&X-Amz-Date=%s&X-Amz-Expires=%u&X-Amz-SignedHeaders=host", s.time, expires_s);
    buf_init(&text, TEXT_MAX);
    buf_putf(&text, "GET\n%s\n%s\nhost:%s\n\nhost\nUNSIGNED-PAYLOAD", path, buf_text(&query),
             b->host);
    rc = sign_canonical(&s, &text, signature, err);
    if (rc == 0)
        buf_putf(out, "%s&X-Amz-Signature=%s", buf_text(&query), signature);
    buf_free(&text);
    buf_free(&query);
    return rc;
}

void
s3_sign_escape(struct buf *out, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789-._~";

    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL)
            buf_putc(out, *text);
        else
            buf_putf(out, "%%%02X", (unsigned)(unsigned char)*text);
    }
}
