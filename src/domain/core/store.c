#include "domain/core/index_place.h"
#include "domain/core/store.h"
#include "domain/core/store_blobs.h"
#include "storage/files/blob_store.h"
#include "storage/files/body_dir.h"
#include "storage/files/disk_space.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_meta.h"
#include "util/fdio.h"

static int
check_store_format(struct txn *t, void *arg, struct err *err)
{
    uint64_t format, copying;
    int rc = tbl_meta_get(t, META_COPYING, &copying, err);

    (void)arg;
    if (rc == 1)
        return err_set(err, ERR_UNSUPPORTED,
                       "the database has an unfinished copy of a registry, or an old one: repeat "
                       "the restore or the migrate that makes it, or start the server where the "
                       "registry was moved to");
    if (rc == 0)
        rc = tbl_meta_get(t, META_FORMAT, &format, err);
    if (rc < 0)
        return -1;
    if (rc == 0 && tbl_meta_put(t, META_FORMAT, STORE_FORMAT, err) != 0)
        return -1;
    if (rc == 1 && format != STORE_FORMAT)
        return err_set(err, ERR_CORRUPT,
                       "the database has format %llu, and this program knows format %d: use a "
                       "newer docker-registry-server",
                       (unsigned long long)format, STORE_FORMAT);
    return 0;
}

int
store_begin(const struct registry *reg, struct err *err)
{
    if (txn_run(reg->kv, check_store_format, NULL, err) != 0)
        return -1;
    return store_blobs_begin(reg, err);
}

int
store_answers(const struct registry *reg, struct err *err)
{
    uint64_t format;
    int rc = tbl_meta_get(kv_reads(reg->kv), META_FORMAT, &format, err);

    if (rc == 0)
        return err_set(err, ERR_CORRUPT, "the database has no format");
    return rc < 0 ? -1 : 0;
}

int
store_check(const struct registry *reg, const char *bodies, struct err *err)
{
    return store_answers(reg, err) != 0 ? -1 : store_check_files(reg, bodies, err);
}

int
store_check_files(const struct registry *reg, const char *bodies, struct err *err)
{
    if (disk_space_check(reg->dirfd, 0, err) != 0 || fdio_check_dir(reg->dirfd, "db", err) != 0 ||
        body_dir_check(reg->dirfd, err) != 0 || blob_store_check(reg->blobs, err) != 0 ||
        blob_store_check_room(reg->blobs, 0, err) != 0 ||
        (bodies != NULL && body_dir_check_nginx(reg->dirfd, bodies, err) != 0))
        return -1;
    return index_store_check(index_place(reg), err);
}
