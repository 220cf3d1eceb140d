#include "storage/tables/tbl_tag_log.h"

#include "storage/kv/kv_range.h"
#include "storage/tables/tbl.h"
#include "util/banned.h"

static struct key
make_prefix(uint64_t repo, const char *tag)
{
    struct key k = {.n = 0};

    key_u64(&k, repo);
    key_closed_text(&k, tag);
    return k;
}

static uint64_t
sequence_of(struct bytes key)
{
    struct rec_reader r = rec_reader_of(
        bytes_of((const char *)key.p + key.n - (key.n < 8 ? key.n : 8), key.n < 8 ? key.n : 8));

    return rec_take_u64(&r);
}

int
tbl_tag_log_add(struct txn *t, uint64_t repo, const char *tag, const struct rec_tag_log *r,
                struct err *err)
{
    struct key prefix = make_prefix(repo, tag), k = prefix;
    struct buf last, val;
    uint64_t seq = 1;
    int rc;

    buf_init(&last, KEY_MAX);
    rc = kv_last(t, TABLE_TAG_LOG, key_of(&prefix), &last, NULL, err);
    if (rc == 1)
        seq = sequence_of(buf_bytes(&last)) + 1;
    buf_free(&last);
    if (rc < 0)
        return -1;

    if (seq > TAG_LOG_KEPT) {
        struct key old = prefix;

        key_u64(&old, seq - TAG_LOG_KEPT);
        if (kv_delete(t, TABLE_TAG_LOG, key_of(&old), err) < 0)
            return -1;
    }
    key_u64(&k, seq);
    buf_init(&val, TBL_RECORD_MAX);
    rec_tag_log_encode(&val, r);
    return tbl_store(t, TABLE_TAG_LOG, &k, &val, err);
}

struct each {
    int (*fn)(uint64_t seq, const struct rec_tag_log *r, void *arg, struct err *err);
    void *arg;
};

static int
visit(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    const struct each *e = arg;
    struct rec_tag_log r;

    if (rec_tag_log_decode(&r, val, err) != 0)
        return -1;
    return e->fn(sequence_of(key), &r, e->arg, err);
}

int
tbl_tag_log_each(struct txn *t, uint64_t repo, const char *tag,
                 int (*fn)(uint64_t seq, const struct rec_tag_log *r, void *arg, struct err *err),
                 void *arg, struct err *err)
{
    struct each e = {fn, arg};
    struct key prefix = make_prefix(repo, tag);

    return kv_range_each(t, TABLE_TAG_LOG, &(struct kv_range){.prefix = key_of(&prefix)}, visit, &e,
                         err);
}
