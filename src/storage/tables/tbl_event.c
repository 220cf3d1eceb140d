#include "storage/tables/tbl_event.h"

#include "storage/kv/kv_range.h"
#include "storage/tables/tbl.h"
#include "util/banned.h"

/* Queues number their records with four bytes, big-endian. */
static struct key
make_key(uint32_t seq)
{
    struct key k = {.n = 0};

    for (int shift = 24; shift >= 0; shift -= 8)
        key_u8(&k, (uint8_t)(seq >> shift));
    return k;
}

int
tbl_event_append(struct txn *t, const struct rec_event *r, struct err *err)
{
    struct buf val;
    int rc;

    buf_init(&val, RECORD_EVENT_MAX);
    rec_event_encode(&val, r);
    if (buf_ok(&val))
        rc = kv_append(t, TABLE_EVENT, buf_bytes(&val), err);
    else
        rc = err_set(err, ERR_SYSTEM, "an event doesn't fit its record");
    buf_free(&val);
    return rc;
}

struct each {
    int (*fn)(uint32_t seq, const struct rec_event *r, void *arg, struct err *err);
    void *arg;
};

static int
visit(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    const struct each *e = arg;
    const uint8_t *p = key.p;
    struct rec_event r;

    if (key.n != 4) {
        err_set(err, ERR_CORRUPT, "a key of table event can't be read");
        return tbl_skip(err);
    }
    if (rec_event_decode(&r, val, err) != 0)
        return tbl_skip(err);
    return e->fn((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3], &r,
                 e->arg, err);
}

int
tbl_event_each(struct txn *t, uint32_t from,
               int (*fn)(uint32_t seq, const struct rec_event *r, void *arg, struct err *err),
               void *arg, struct err *err)
{
    struct each e = {fn, arg};
    struct key k = make_key(from);

    return kv_range_each(t, TABLE_EVENT,
                         &(struct kv_range){.from = from == 0 ? bytes_of("", 0) : key_of(&k)},
                         visit, &e, err);
}

int
tbl_event_last(struct txn *t, uint32_t *seq, struct err *err)
{
    struct buf key;
    int rc;

    buf_init(&key, 4);
    rc = kv_last(t, TABLE_EVENT, bytes_of("", 0), &key, NULL, err);
    struct rec_reader rd = rec_reader_of(buf_bytes(&key));
    *seq = rc == 1 ? rec_take_u32(&rd) : 0;
    buf_free(&key);
    return rc < 0 ? -1 : 0;
}

int
tbl_event_delete(struct txn *t, uint32_t seq, struct err *err)
{
    struct key k = make_key(seq);

    return kv_delete(t, TABLE_EVENT, key_of(&k), err);
}
