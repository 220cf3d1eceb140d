#include "domain/core/upload_row.h"
#include "domain/core/count_limit.h"
#include "storage/files/upload_dir.h"
#include "storage/tables/tbl_upload.h"
#include "util/hex.h"

int
upload_row_add(struct txn *t, const struct registry *reg, const char *id,
               const struct rec_upload *r, struct err *err)
{
    if (tbl_upload_put(t, id, r, err) != 0)
        return -1;
    return count_limit_add_upload(t, reg, r->user, err);
}

int
upload_row_drop(struct txn *t, const char *id, struct err *err)
{
    struct rec_upload r;
    int rc = tbl_upload_get_for_update(t, id, &r, err);

    if (rc != 1)
        return rc;
    if (tbl_upload_drop(t, id, err) != 0)
        return -1;
    return count_limit_drop_upload(t, r.user, err);
}

static int
drop_upload_row(struct txn *t, void *arg, struct err *err)
{
    /* After a power loss the row may be there without a file, and expires. */
    kv_relax(t);
    return upload_row_drop(t, arg, err);
}

int
upload_row_end(const struct registry *reg, const char *id, struct err *err)
{
    char row[RECORD_UPLOAD_ID_MAX];

    snprintf(row, sizeof row, "%s", id);
    if (txn_run_anyway(reg->kv, drop_upload_row, row, err) != 0)
        return -1;
    return upload_dir_remove(reg->dirfd, id, err);
}

bool
upload_row_is_id(const char *id)
{
    uint8_t secret[16];

    return hex_decode(secret, sizeof secret, id, strlen(id));
}
