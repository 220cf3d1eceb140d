#include "storage/tables/tbl_damage.h"
#include "storage/tables/tbl.h"

int
tbl_damage_get(struct txn *t, const struct digest *d, struct rec_damage *r, struct err *err)
{
    return tbl_get(t, &record_damage, key_of_digest(d), r, err);
}

int
tbl_damage_put(struct txn *t, const struct digest *d, const struct rec_damage *r, struct err *err)
{
    return tbl_put(t, &record_damage, key_of_digest(d), r, err);
}

int
tbl_damage_drop(struct txn *t, const struct digest *d, struct err *err)
{
    return tbl_drop(t, &record_damage, key_of_digest(d), err);
}

struct damage_visit {
    int (*fn)(const struct digest *d, const struct rec_damage *r, void *arg, struct err *err);
    void *arg;
};

static int
visit_damage(struct unpack *key, const void *r, void *arg, struct err *err)
{
    const struct damage_visit *v = arg;
    struct digest d;

    unpack_digest(key, &d);
    return unpack_done(key) ? v->fn(&d, r, v->arg, err) : TBL_BAD_KEY;
}

int
tbl_damage_each(struct txn *t, const struct digest *after,
                int (*fn)(const struct digest *d, const struct rec_damage *r, void *arg,
                          struct err *err),
                void *arg, struct err *err)
{
    struct damage_visit v = {fn, arg};
    struct key from = {.n = 0};

    if (after != NULL)
        from = key_of_digest(after);
    return tbl_each(t, &record_damage,
                    &(struct kv_range){.from = key_of(&from), .behind = after != NULL},
                    visit_damage, &v, err);
}
