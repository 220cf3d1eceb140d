#pragma once

#include <stdint.h>
#include "storage/s3/s3_bucket.h"
#include "util/buf.h"

/* Signatures of requests: "AWS Signature Version 4", with the payload's hash in a signed header, or
 * in the query of a URL (presigned). */

#define S3_SHA256_HEX_MAX 65
#define S3_EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct s3_request {
    const char *method;
    const char *path;    /* begins with /, and has nothing that would be escaped */
    const char *query;   /* names in order, escaped; "" */
    const char *sha256;  /* hex digits of the body's hash */
    const char *copy_of; /* x-amz-copy-source; NULL: none */
    uint64_t time_s;     /* since 1970 */
};

/* Appends lines "Name: value", each with a NUL instead of its end: Authorization, x-amz-date,
 * x-amz-content-sha256, and x-amz-copy-source if there is one. */
int s3_sign_headers(const struct s3_bucket *b, const struct s3_request *r, struct buf *out,
                    struct err *err);
/* Appends the query with which everybody may GET the path until expires_s after the time. */
int s3_sign_query(const struct s3_bucket *b, const char *path, uint64_t time_s, unsigned expires_s,
                  struct buf *out, struct err *err);
/* Appends a text as it stands in a query. */
void s3_sign_escape(struct buf *out, const char *text);
