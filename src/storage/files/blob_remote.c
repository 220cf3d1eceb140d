#include "storage/files/blob_remote.h"
#include "storage/files/blob_cache.h"
#include "storage/files/blob_file.h"
#include "storage/files/blob_object.h"
#include "storage/s3/s3_bucket.h"

bool
blob_remote_is(const struct blob_store *s)
{
    return s->s3 != NULL;
}

void
blob_remote_begin_child(const struct blob_store *s)
{
    s->s3->hurried = false;
    s->s3->root = -1;
}

int
blob_remote_open(const struct blob_store *s, const struct digest *d, struct blob_late *late,
                 struct err *err)
{
    char path[BLOB_FILE_PATH_MAX];

    late->is_absent = false;
    blob_file_path(path, d, late->instance);
    late->fd = s->s3 != NULL ? blob_cache_begin(s, path, &late->is_absent, err)
                             : blob_file_open(s, d, late->instance, err);
    return late->fd >= 0 ? 0 : -1;
}

int
blob_remote_fetch(const struct blob_store *s, const struct digest *d, const struct blob_late *late,
                  struct err *err)
{
    char path[BLOB_FILE_PATH_MAX];

    blob_file_path(path, d, late->instance);
    return blob_cache_fill(s, path, d, late->fd, late->size, err);
}

int
blob_remote_verify(const struct blob_store *s, const struct digest *d, uint64_t instance,
                   uint64_t rate, struct err *err)
{
    char path[BLOB_FILE_PATH_MAX];

    blob_file_path(path, d, instance);
    return blob_object_get(s, path, -1, 0, rate, d, err);
}
