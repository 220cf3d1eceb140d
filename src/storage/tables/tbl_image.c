#include "storage/tables/tbl_image.h"
#include "storage/tables/tbl.h"

int
tbl_image_get(struct txn *t, const struct digest *id, struct rec_image *r, struct err *err)
{
    return tbl_get(t, &record_image, key_of_digest(id), r, err);
}

int
tbl_image_get_for_update(struct txn *t, const struct digest *id, struct rec_image *r,
                         struct err *err)
{
    return tbl_get_for_update(t, &record_image, key_of_digest(id), r, err);
}

int
tbl_image_put(struct txn *t, const struct digest *id, const struct rec_image *r, struct err *err)
{
    return tbl_put(t, &record_image, key_of_digest(id), r, err);
}

int
tbl_image_drop(struct txn *t, const struct digest *id, struct err *err)
{
    return tbl_drop(t, &record_image, key_of_digest(id), err);
}

struct image_visit {
    int (*fn)(const struct digest *id, const struct rec_image *r, void *arg, struct err *err);
    void *arg;
};

static int
visit_image(struct unpack *key, const void *r, void *arg, struct err *err)
{
    const struct image_visit *v = arg;
    struct digest id;

    unpack_digest(key, &id);
    return unpack_done(key) ? v->fn(&id, r, v->arg, err) : TBL_BAD_KEY;
}

int
tbl_image_each(struct txn *t, const struct digest *from,
               int (*fn)(const struct digest *id, const struct rec_image *r, void *arg,
                         struct err *err),
               void *arg, struct err *err)
{
    struct image_visit v = {fn, arg};
    struct key k = key_of_digest(from);

    return tbl_each(t, &record_image, &(struct kv_range){.from = key_of(&k)}, visit_image, &v, err);
}
