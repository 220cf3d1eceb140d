#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include "util/err.h"

/* A bucket of a server that speaks S3: "s3://BUCKET[/PREFIX][?endpoint=URL&region=REGION]".
 * Requests name the bucket in their path, which all such servers understand. */

#define S3_HOST_MAX 256
#define S3_PATH_MAX 512
#define S3_REGION_MAX 64
#define S3_KEY_MAX 256

/* The file with the keys, below the data directory. */
#define S3_KEYS_NAME "auth/s3-keys"

/* What a process remembers of it, so each has a copy of its own after a fork. */
struct s3_bucket {
    const char *name; /* the whole text, for messages */
    bool tls;
    char host[S3_HOST_MAX]; /* with the port, if it isn't the usual one */
    char bucket[S3_REGION_MAX];
    char path[S3_PATH_MAX];     /* of objects: "/BUCKET/" or "/BUCKET/PREFIX/" */
    char region[S3_REGION_MAX]; /* us-east-1, if none is given */
    char access_key[S3_KEY_MAX];
    char secret_key[S3_KEY_MAX];
    int root;              /* the data directory; -1: the keys came from the environment */
    struct stat keys_seen; /* the file, when it was read */
    bool hurried;          /* requests end soon (s3_exchange.h) */
    uint64_t rest_until;   /* clock_mono_ms(): until then a hurried process makes none */
    uint64_t put_max;      /* the largest object of one PUT, S3_PUT_MAX; a test lowers it */
};

/* Amazon's limit: 5 GiB. */
#define S3_PUT_MAX (UINT64_C(5) << 30)

/* Does the value of --blobs name a bucket? */
bool s3_bucket_is(const char *text);
/* Without the keys. text lives as long as b. Without an endpoint it is Amazon's. ERR_BAD_REQUEST: a
 * part is missing, or has other characters than letters, digits and "._-". */
int s3_bucket_parse(struct s3_bucket *b, const char *text, struct err *err);
/* The keys: from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), or else from the file
 * S3_KEYS_NAME below root, with lines access-key=... and secret-key=... */
int s3_bucket_read_keys(struct s3_bucket *b, int root, struct err *err);
/* Reads the file again if it has changed. If that can't be done, the keys stay as they are, and the
 * log says so. */
void s3_bucket_look_at_keys(struct s3_bucket *b);
