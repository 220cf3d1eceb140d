#include "domain/core/upload_row.h"
#include "domain/core/count_limit.h"
#include "storage/tables/tbl_upload.h"

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
