#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "storage/s3/s3_bucket.h"
#include "storage/s3/s3_sign.h"
#include "util/buf.h"
#include "util/bytes.h"
#include "util/digest.h"

/* One request to S3 and its answer, by libcurl. What may pass (no connection, 429, 5xx) is tried
 * three times; no try begins when the first one began more than 30 seconds ago. A try ends when
 * there is no connection after 5 seconds, or for 20 seconds less than 1 KiB in each. The connection
 * is kept for the next request of this process.
 *
 * A hurried process has other work (s3_bucket.hurried): a try ends after 2 seconds without an
 * answer, and in any case after 5, and no other follows after the first second. Once all have
 * failed, no request is made for 5 seconds. */

#define S3_ETAG_MAX 128

struct s3_exchange {
    struct s3_bucket *b;
    struct s3_request r; /* method; what is NULL: no query, no body */

    bool has_body;
    int from; /* the file whose bytes are sent; -1: `content` */
    uint64_t from_at, n;
    struct bytes content;
    struct digest sum; /* set: SHA-256 of what was sent */

    int to;             /* the file that gets an object; -1: `object`, or nothing */
    uint64_t most;      /* bytes that may be received so */
    uint64_t rate;      /* bytes a second; 0: as fast as they come */
    struct digest *got; /* NULL, or gets the digest of the object, of the algorithm it has */
    struct buf *object; /* gets the answer if the status is 200 */
    const char *root;   /* this is a document of that name, or of an error; NULL: it is none */

    /* set: */
    long status;
    int64_t date_s, modified_s;
    int64_t length; /* -1: unknown */
    uint64_t received;
    char etag[S3_ETAG_MAX];
};

/* Loads libcurl. ERR_UNSUPPORTED: it isn't there, or the program was built without it. */
int s3_exchange_load(struct err *err);
/* key NULL: the bucket itself. 1: the status is 2xx; 0: it is 404; -1: ERR_BUSY if it may pass,
 * ERR_FAULT if S3 refuses. */
int s3_exchange_run(struct s3_exchange *x, const char *key, struct err *err);
