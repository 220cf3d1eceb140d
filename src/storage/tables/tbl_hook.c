#include "storage/tables/tbl_hook.h"
#include "storage/tables/tbl.h"

static struct key
hook_key(const struct tbl_hook *h)
{
    struct key k = {.n = 0};

    key_u8(&k, (uint8_t)h->state);
    if (h->state == TBL_HOOK_WAITING)
        key_closed_text(&k, h->record.event.repository);
    key_u32(&k, h->seq);
    return k;
}

int
tbl_hook_get_for_update(struct txn *t, struct tbl_hook *h, struct err *err)
{
    return tbl_get_for_update(t, &record_hook, hook_key(h), &h->record, err);
}

int
tbl_hook_put(struct txn *t, const struct tbl_hook *h, struct err *err)
{
    return tbl_put(t, &record_hook, hook_key(h), &h->record, err);
}

int
tbl_hook_drop(struct txn *t, const struct tbl_hook *h, struct err *err)
{
    return tbl_drop(t, &record_hook, hook_key(h), err);
}

struct hook_visit {
    tbl_hook_fn *fn;
    void *arg;
};

/* The number is the end of the key; the repository in it is the record's as well. */
static int
visit_hook(struct unpack *key, const void *r, void *arg, struct err *err)
{
    const struct hook_visit *v = arg;
    struct tbl_hook h = {.state = (enum tbl_hook_state)unpack_u8(key)};

    unpack_bytes(key, key->n - sizeof h.seq);
    h.seq = unpack_u32(key);
    if (!unpack_done(key))
        return TBL_BAD_KEY;
    h.record = *(const struct rec_hook *)r;
    return v->fn(&h, v->arg, err);
}

int
tbl_hook_each(struct txn *t, enum tbl_hook_state state, const struct tbl_hook *after,
              tbl_hook_fn *fn, void *arg, struct err *err)
{
    struct hook_visit v = {fn, arg};
    struct key all = {.n = 0}, from;

    key_u8(&all, (uint8_t)state);
    from = after != NULL ? hook_key(after) : all;
    return tbl_each(
        t, &record_hook,
        &(struct kv_range){.prefix = key_of(&all), .from = key_of(&from), .behind = true},
        visit_hook, &v, err);
}

static int
remember_hook(const struct tbl_hook *h, void *arg, struct err *err)
{
    (void)err;
    *(struct tbl_hook *)arg = *h;
    return 1;
}

int
tbl_hook_first_behind(struct txn *t, const char *repository, struct tbl_hook *h, struct err *err)
{
    struct hook_visit v = {remember_hook, h};
    struct key all = {.n = 0}, from;
    int rc;

    h->seq = 0; /* no event's */
    key_u8(&all, TBL_HOOK_WAITING);
    from = all;
    if (repository != NULL) {
        /* The name is closed by a NUL, and no name goes on with a byte as small as this. */
        key_text(&from, repository);
        key_u8(&from, 1);
    }
    rc =
        tbl_each(t, &record_hook, &(struct kv_range){.prefix = key_of(&all), .from = key_of(&from)},
                 visit_hook, &v, err);
    return rc != 0 ? -1 : h->seq != 0;
}
