#include "storage/tables/tbl_upload.h"
#include "storage/tables/tbl.h"

int
tbl_upload_get(struct txn *t, const char *id, struct rec_upload *r, struct err *err)
{
    return tbl_get(t, &record_upload, key_of_text(id), r, err);
}

int
tbl_upload_get_for_update(struct txn *t, const char *id, struct rec_upload *r, struct err *err)
{
    return tbl_get_for_update(t, &record_upload, key_of_text(id), r, err);
}

int
tbl_upload_put(struct txn *t, const char *id, const struct rec_upload *r, struct err *err)
{
    return tbl_put(t, &record_upload, key_of_text(id), r, err);
}

int
tbl_upload_drop(struct txn *t, const char *id, struct err *err)
{
    return tbl_drop(t, &record_upload, key_of_text(id), err);
}

struct upload_visit {
    int (*fn)(const char *id, const struct rec_upload *r, void *arg, struct err *err);
    void *arg;
};

static int
visit_upload(struct unpack *key, const void *r, void *arg, struct err *err)
{
    const struct upload_visit *v = arg;
    char id[RECORD_UPLOAD_ID_MAX];

    key_take_text(key, id, sizeof id);
    return unpack_done(key) ? v->fn(id, r, v->arg, err) : TBL_BAD_KEY;
}

int
tbl_upload_each(struct txn *t,
                int (*fn)(const char *id, const struct rec_upload *r, void *arg, struct err *err),
                void *arg, struct err *err)
{
    struct upload_visit v = {fn, arg};

    return tbl_each(t, &record_upload, &(struct kv_range){0}, visit_upload, &v, err);
}
