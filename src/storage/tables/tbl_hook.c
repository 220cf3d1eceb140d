#include "storage/tables/tbl_hook.h"

#include <stdio.h>

#include "storage/kv/kv_range.h"
#include "storage/tables/tbl.h"
#include "util/banned.h"

static void
key_u32(struct key *k, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        key_u8(k, (uint8_t)(v >> shift));
}

static struct key
make_key(const struct tbl_hook *h)
{
    struct key k = {.n = 0};

    key_u8(&k, (uint8_t)h->state);
    if (h->state == TBL_HOOK_WAITING)
        key_closed_text(&k, h->record.event.repository);
    key_u32(&k, h->seq);
    return k;
}

static int
load(struct txn *t, struct tbl_hook *h, bool for_update, struct err *err)
{
    struct key k = make_key(h);
    struct buf val;
    int rc = tbl_fetch(t, TABLE_HOOK, &k, for_update, TBL_RECORD_MAX, &val, err);

    if (rc == 1 && rec_hook_decode(&h->record, buf_bytes(&val), err) != 0)
        rc = -1;
    buf_free(&val);
    return rc;
}

int
tbl_hook_get(struct txn *t, struct tbl_hook *h, struct err *err)
{
    return load(t, h, false, err);
}

int
tbl_hook_get_for_update(struct txn *t, struct tbl_hook *h, struct err *err)
{
    return load(t, h, true, err);
}

int
tbl_hook_put(struct txn *t, const struct tbl_hook *h, struct err *err)
{
    struct key k = make_key(h);
    struct buf val;

    buf_init(&val, TBL_RECORD_MAX);
    rec_hook_encode(&val, &h->record);
    return tbl_store(t, TABLE_HOOK, &k, &val, err);
}

int
tbl_hook_delete(struct txn *t, const struct tbl_hook *h, struct err *err)
{
    struct key k = make_key(h);

    return kv_delete(t, TABLE_HOOK, key_of(&k), err);
}

struct each {
    enum tbl_hook_state state;
    const struct key *after; /* NULL: none */
    tbl_hook_fn *fn;
    void *arg;
};

/* The number is the end of the key; the repository in it is the record's as well. */
static int
visit(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    const struct each *e = arg;
    const size_t least = 1 + 4;
    struct tbl_hook h = {.state = e->state};

    if (e->after != NULL && bytes_equal(key, key_of(e->after)))
        return 0;
    if (key.n < least) {
        err_set(err, ERR_CORRUPT, "a key of table hook can't be read");
        return tbl_skip(err);
    }
    struct rec_reader rd = rec_reader_of(bytes_of((const char *)key.p + key.n - 4, 4));
    h.seq = rec_take_u32(&rd);
    if (rec_hook_decode(&h.record, val, err) != 0)
        return tbl_skip(err);
    return e->fn(&h, e->arg, err);
}

int
tbl_hook_each(struct txn *t, enum tbl_hook_state state, const struct tbl_hook *after,
              tbl_hook_fn *fn, void *arg, struct err *err)
{
    struct key all = {.n = 0}, from = {.n = 0};
    struct each e = {state, NULL, fn, arg};

    key_u8(&all, (uint8_t)state);
    if (after != NULL) {
        from = make_key(after);
        e.after = &from;
    }
    return kv_range_each(t, TABLE_HOOK,
                         &(struct kv_range){.prefix = key_of(&all), .from = key_of(&from)}, visit,
                         &e, err);
}

static int
take_first(const struct tbl_hook *h, void *arg, struct err *err)
{
    (void)err;
    *(struct tbl_hook *)arg = *h;
    return 1;
}

int
tbl_hook_first_behind(struct txn *t, const char *repository, struct tbl_hook *h, struct err *err)
{
    struct key all = {.n = 0}, from = {.n = 0};
    struct each e = {TBL_HOOK_WAITING, NULL, take_first, h};

    h->seq = 0; /* no event's */
    key_u8(&all, TBL_HOOK_WAITING);
    key_u8(&from, TBL_HOOK_WAITING);
    if (repository != NULL) {
        /* The name is closed by a NUL, and no name goes on with a byte as small as this. */
        key_text(&from, repository);
        key_u8(&from, 1);
    }
    if (kv_range_each(t, TABLE_HOOK,
                      &(struct kv_range){.prefix = key_of(&all), .from = key_of(&from)}, visit, &e,
                      err) != 0)
        return -1;
    return h->seq != 0;
}
