#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "storage/s3/s3_bucket.h"
#include "util/buf.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* Objects of a bucket. Each function waits for its answer (s3_exchange.h says how long). key: the
 * name below the bucket's prefix, of letters, digits and "._-/". */

/* Stores the first n bytes of the file, of which sha256 is the hash. What is sent is hashed, and
 * other bytes never become the object: the server refuses them, or the object is deleted. Files of
 * more than b->put_max bytes are sent in parts. */
int s3_client_put(struct s3_bucket *b, const char *key, int fd, uint64_t n,
                  const struct digest *sha256, struct err *err);
int s3_client_put_bytes(struct s3_bucket *b, const char *key, struct bytes content,
                        struct err *err);

/* Writes the object to the file `fd`, at most `most` bytes, or to none if it is -1, at `rate` bytes
 * a second (0: as fast as it comes), and stores the number and the digest of what came, of the
 * algorithm in got->algo. 1; 0: there is none; -1. */
int s3_client_get(struct s3_bucket *b, const char *key, int fd, uint64_t most, uint64_t rate,
                  uint64_t *bytes, struct digest *got, struct err *err);
/* Replaces what is in out by the object; out's maximum bounds it: as above. */
int s3_client_get_bytes(struct s3_bucket *b, const char *key, struct buf *out, struct err *err);

struct s3_object {
    char key[S3_PATH_MAX]; /* in a list, without the bucket's prefix */
    uint64_t size;
    int64_t modified_s; /* since 1970 */
};
/* 1; 0: there is none, or no bucket; -1. */
int s3_client_head(struct s3_bucket *b, const char *key, struct s3_object *o, struct err *err);
/* 0 also if there was none. */
int s3_client_delete(struct s3_bucket *b, const char *key, struct err *err);
/* 1; 0: there is none; -1. */
int s3_client_copy(struct s3_bucket *b, const char *from, const char *to, struct err *err);
/* Calls fn for each object whose key begins with `prefix`, until it returns something else than 0.
 * now_s: the server's clock. */
int s3_client_list(struct s3_bucket *b, const char *prefix,
                   int (*fn)(const struct s3_object *o, int64_t now_s, void *arg, struct err *err),
                   void *arg, struct err *err);
