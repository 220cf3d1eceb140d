#include "domain/core/index_place.h"
#include "storage/files/blob_store.h"
#include "storage/kv/kv.h"

int
index_place(const struct registry *reg)
{
    return reg->kv != NULL && kv_is_remote(reg->kv) && reg->blobs->outside >= 0
               ? reg->blobs->outside
               : reg->dirfd;
}
