#include "storage/s3/s3_bucket.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/buf.h"
#include "util/fdio.h"
#include "util/kvfile.h"
#include "util/log.h"

#define SCHEME "s3://"
#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
/* None of them is escaped in a path, has a meaning for nginx, or ends a host. */
#define WORD LETTERS DIGITS "._-"
#define REGION "us-east-1"
#define KEY_FILE_MAX 4096

bool
s3_bucket_is(const char *text)
{
    return strncmp(text, SCHEME, strlen(SCHEME)) == 0;
}

static int
copy_part(char *out, size_t room, const char *p, size_t n, const char *bytes, const char *what,
          struct err *err)
{
    if (n == 0 || n >= room || strspn(p, bytes) < n)
        return err_set(err, ERR_BAD_REQUEST, "--blobs s3://...: the %s is %s", what,
                       n == 0      ? "missing"
                       : n >= room ? "too long"
                                   : "wrong: letters, digits and . _ - are allowed");
    memcpy(out, p, n);
    out[n] = '\0';
    return 0;
}

static int
set_endpoint(struct s3_bucket *b, const char *p, size_t n, struct err *err)
{
    size_t skip = n > 8 && strncmp(p, "https://", 8) == 0  ? 8
                  : n > 7 && strncmp(p, "http://", 7) == 0 ? 7
                                                           : 0;

    if (skip == 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "--blobs s3://...: the endpoint begins with http:// or https://");
    b->tls = skip == 8;
    n -= n > skip && p[n - 1] == '/';
    return copy_part(b->host, sizeof b->host, p + skip, n - skip, WORD ":[]", "endpoint", err);
}

static int
set_parameter(struct s3_bucket *b, const char *p, size_t n, struct err *err)
{
    if (n > 9 && strncmp(p, "endpoint=", 9) == 0)
        return set_endpoint(b, p + 9, n - 9, err);
    if (n > 7 && strncmp(p, "region=", 7) == 0)
        return copy_part(b->region, sizeof b->region, p + 7, n - 7, WORD, "region", err);
    return err_set(err, ERR_BAD_REQUEST,
                   "--blobs s3://...: only endpoint=URL and region=NAME may follow the ?");
}

static int
set_bucket_path(struct s3_bucket *b, const char *p, size_t n, struct err *err)
{
    size_t bucket = strcspn(p, "/?");
    char prefix[S3_PATH_MAX - S3_REGION_MAX - 3] = "";

    if (copy_part(b->bucket, sizeof b->bucket, p, bucket, WORD, "bucket", err) != 0)
        return -1;
    p += bucket + (bucket < n);
    n -= bucket + (bucket < n);
    n -= n > 0 && p[n - 1] == '/';
    if (n > 0 && copy_part(prefix, sizeof prefix, p, n, WORD "/", "prefix", err) != 0)
        return -1;
    snprintf(b->path, sizeof b->path, "/%s/%s%s", b->bucket, prefix, n > 0 ? "/" : "");
    if (strstr(b->path, "//") != NULL || strstr(b->path, "/.") != NULL ||
        strstr(b->path, "..") != NULL)
        return err_set(err, ERR_BAD_REQUEST,
                       "--blobs s3://...: a part of the bucket and prefix is empty, or has a dot "
                       "at its beginning, or two of them");
    return 0;
}

int
s3_bucket_parse(struct s3_bucket *b, const char *text, struct err *err)
{
    const char *p = text + strlen(SCHEME), *query = strchr(p, '?');
    size_t n = query != NULL ? (size_t)(query - p) : strlen(p);

    *b = (struct s3_bucket){
        .name = text, .tls = true, .region = REGION, .root = -1, .put_max = S3_PUT_MAX};
    if (set_bucket_path(b, p, n, err) != 0)
        return -1;
    while (query != NULL && *query != '\0') {
        n = strcspn(++query, "&");
        if (set_parameter(b, query, n, err) != 0)
            return -1;
        query += n;
    }
    if (b->host[0] == '\0')
        snprintf(b->host, sizeof b->host, "s3.%s.amazonaws.com", b->region);
    return 0;
}

/* ---- keys ---- */

static int
set_key(struct s3_bucket *b, bool secret, const char *value, struct err *err)
{
    char *out = secret ? b->secret_key : b->access_key;

    if (*value == '\0' || strlen(value) >= S3_KEY_MAX || strchr(value, '\n') != NULL)
        return err_set(err, ERR_BAD_REQUEST, "the %s key of --blobs is empty or too long",
                       secret ? "secret" : "access");
    memcpy(out, value, strlen(value) + 1);
    return 0;
}

static int
take_key_line(const char *name, const char *value, int line, void *arg, struct err *err)
{
    bool secret = strcmp(name, "secret-key") == 0;

    if (value == NULL || (!secret && strcmp(name, "access-key") != 0))
        return err_set(err, ERR_BAD_REQUEST, "line %d is neither access-key=... nor secret-key=...",
                       line);
    return set_key(arg, secret, value, err);
}

static int
read_key_file(struct s3_bucket *b, struct err *err)
{
    struct s3_bucket found = {.access_key = ""};
    struct buf text;
    int rc;

    buf_init(&text, KEY_FILE_MAX);
    fdio_look(b->root, S3_KEYS_NAME, &b->keys_seen);
    rc = fdio_read_given(b->root, S3_KEYS_NAME, &text, err) < 0 ? -1 : 0;
    if (rc == 0)
        rc = kvfile_each(buf_bytes(&text), take_key_line, &found, err);
    buf_free(&text);
    if (rc == 0 && (found.access_key[0] == '\0' || found.secret_key[0] == '\0'))
        rc = err_set(err, ERR_BAD_REQUEST,
                     "--blobs s3://... needs keys: access-key=... and secret-key=... in the "
                     "file " S3_KEYS_NAME " of the data directory, or AWS_ACCESS_KEY_ID and "
                     "AWS_SECRET_ACCESS_KEY in the environment");
    if (rc == 0) {
        memcpy(b->access_key, found.access_key, sizeof b->access_key);
        memcpy(b->secret_key, found.secret_key, sizeof b->secret_key);
    }
    explicit_bzero(&found, sizeof found);
    return rc;
}

int
s3_bucket_read_keys(struct s3_bucket *b, int root, struct err *err)
{
    const char *access = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY");

    if (access != NULL && secret != NULL)
        return set_key(b, false, access, err) != 0 ? -1 : set_key(b, true, secret, err);
    b->root = root;
    return read_key_file(b, err);
}

void
s3_bucket_look_at_keys(struct s3_bucket *b)
{
    struct stat now;
    struct err err;

    if (b->root < 0)
        return;
    fdio_look(b->root, S3_KEYS_NAME, &now);
    if (!fdio_same_file(&now, &b->keys_seen) && read_key_file(b, &err) != 0)
        log_line(LOG_WARN, "the keys of S3 stay as they were", "why=%s", err.message);
}
