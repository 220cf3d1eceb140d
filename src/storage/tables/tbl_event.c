#include "storage/tables/tbl_event.h"
#include "storage/tables/tbl.h"

static struct key
event_key(uint32_t seq)
{
    struct key k = {.n = 0};

    key_u32(&k, seq);
    return k;
}

int
tbl_event_append(struct txn *t, const struct rec_event *r, struct err *err)
{
    return tbl_append(t, &record_event, r, err);
}

struct event_visit {
    int (*fn)(uint32_t seq, const struct rec_event *r, void *arg, struct err *err);
    void *arg;
};

static int
visit_event(struct unpack *key, const void *r, void *arg, struct err *err)
{
    const struct event_visit *v = arg;
    uint32_t seq = unpack_u32(key);

    return unpack_done(key) ? v->fn(seq, r, v->arg, err) : TBL_BAD_KEY;
}

int
tbl_event_each(struct txn *t, uint32_t from,
               int (*fn)(uint32_t seq, const struct rec_event *r, void *arg, struct err *err),
               void *arg, struct err *err)
{
    struct event_visit v = {fn, arg};
    struct key k = event_key(from);

    return tbl_each(t, &record_event, &(struct kv_range){.from = key_of(&k)}, visit_event, &v, err);
}

int
tbl_event_last(struct txn *t, uint32_t *seq, struct err *err)
{
    struct buf key;
    struct unpack u;
    int rc;

    buf_init(&key, KEY_MAX);
    rc = kv_last(t, TABLE_EVENT, bytes_of("", 0), &key, NULL, err);
    u = unpack_of(buf_bytes(&key));
    *seq = rc == 1 ? unpack_u32(&u) : 0;
    buf_free(&key);
    return rc < 0 ? -1 : 0;
}

int
tbl_event_drop(struct txn *t, uint32_t seq, struct err *err)
{
    return tbl_drop(t, &record_event, event_key(seq), err);
}

int
tbl_event_take_number(struct txn *t, uint32_t seq, struct err *err)
{
    const struct key k = event_key(seq);
    int rc = kv_get(t, TABLE_EVENT, key_of(&k), NULL, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    if (kv_place(t, TABLE_EVENT, key_of(&k), bytes_of("", 0), err) != 0)
        return -1;
    return kv_drop(t, TABLE_EVENT, key_of(&k), err);
}
