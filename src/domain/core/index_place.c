#include "domain/core/index_place.h"
#include "storage/kv/kv.h"

struct index_store
index_place_beside(const struct blob_store *blobs, bool is_shared)
{
    return (struct index_store){.root = blobs->root,
                                .dir = is_shared ? blob_store_base(blobs) : blobs->root,
                                .bucket = is_shared && blobs->s3 != NULL ? blobs : NULL};
}

struct index_store
index_place(const struct registry *reg)
{
    return index_place_beside(reg->blobs, reg->kv != NULL && kv_is_remote(reg->kv));
}
