#include "domain/core/blob_link.h"
#include <stdio.h>
#include "storage/files/blob_store.h"
#include "storage/s3/s3_sign.h"
#include "util/clock.h"

#define EXPIRES_S 60

bool
blob_link_is_used(const struct registry *reg)
{
    return reg->blobs->s3 != NULL;
}

int
blob_link(const struct registry *reg, const char *path, char out[BLOB_LINK_MAX], struct err *err)
{
    char whole[2 * S3_PATH_MAX];
    struct buf query;
    int rc;

    out[0] = '\0';
    if (reg->blobs->s3 == NULL)
        return 0;
    s3_bucket_look_at_keys(reg->blobs->s3);
    snprintf(whole, sizeof whole, "%s%s", reg->blobs->s3->path, path);
    buf_init(&query, BLOB_LINK_MAX - 2);
    rc = s3_sign_query(reg->blobs->s3, whole, clock_wall_ms() / 1000, EXPIRES_S, &query, err);
    if (rc == 0 && !buf_ok(&query))
        rc = err_set(err, ERR_SYSTEM, "the signature of a blob is too long");
    if (rc == 0)
        snprintf(out, BLOB_LINK_MAX, "?%s", buf_text(&query));
    buf_free(&query);
    return rc;
}
