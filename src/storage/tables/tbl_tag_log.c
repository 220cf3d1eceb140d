#include "storage/tables/tbl_tag_log.h"
#include "storage/kv/kv_range.h"
#include "storage/tables/tbl.h"

/* seq 0: the start of the keys of all moves. */
static struct key
tag_log_key(uint64_t repo, const char *tag, uint64_t seq)
{
    struct key k = {.n = 0};

    key_u64(&k, repo);
    key_closed_text(&k, tag);
    if (seq != 0)
        key_u64(&k, seq);
    return k;
}

/* The sequence is the end of the key. */
static uint64_t
take_tag_log_seq(struct unpack *key)
{
    unpack_bytes(key, key->n - sizeof(uint64_t));
    return unpack_u64(key);
}

static int
drop_old_move(struct txn *t, uint64_t repo, const char *tag, uint64_t seq, struct rec_tag_log *old,
              struct err *err)
{
    struct key k;
    int rc;

    *old = (struct rec_tag_log){.time = 0};
    if (seq <= TAG_LOG_KEPT)
        return 0;
    k = tag_log_key(repo, tag, seq - TAG_LOG_KEPT);
    rc = tbl_get(t, &record_tag_log, k, old, err);
    if (rc == 1)
        return tbl_drop(t, &record_tag_log, k, err);
    return rc;
}

int
tbl_tag_log_add(struct txn *t, uint64_t repo, const char *tag, const struct rec_tag_log *r,
                struct rec_tag_log *old, struct err *err)
{
    struct key all = tag_log_key(repo, tag, 0);
    struct buf last;
    struct unpack u;
    uint64_t seq;
    int rc;

    buf_init(&last, KEY_MAX);
    rc = kv_last(t, TABLE_TAG_LOG, key_of(&all), &last, NULL, err);
    u = unpack_of(buf_bytes(&last));
    seq = rc == 1 ? take_tag_log_seq(&u) + 1 : 1;
    buf_free(&last);
    if (rc < 0 || drop_old_move(t, repo, tag, seq, old, err) != 0)
        return -1;
    return tbl_put(t, &record_tag_log, tag_log_key(repo, tag, seq), r, err);
}

void
tbl_tag_log_expect_add(struct txn *t, uint64_t repo, const char *tag)
{
    struct key all = tag_log_key(repo, tag, 0);

    kv_expect_last(t, TABLE_TAG_LOG, key_of(&all));
}

int
tbl_tag_log_drop(struct txn *t, uint64_t repo, size_t max, struct err *err)
{
    struct key all = {.n = 0};
    struct buf last;
    int rc = 1;

    key_u64(&all, repo);
    buf_init(&last, KEY_MAX);
    for (size_t i = 0; i < max && rc == 1; i++) {
        rc = kv_last(t, TABLE_TAG_LOG, key_of(&all), &last, NULL, err);
        if (rc == 1 && kv_drop(t, TABLE_TAG_LOG, buf_bytes(&last), err) != 0)
            rc = -1;
    }
    buf_free(&last);
    return rc;
}

struct tag_log_visit {
    int (*fn)(uint64_t seq, const struct rec_tag_log *r, void *arg, struct err *err);
    void *arg;
};

static int
visit_tag_log(struct unpack *key, const void *r, void *arg, struct err *err)
{
    const struct tag_log_visit *v = arg;
    uint64_t seq = take_tag_log_seq(key);

    return unpack_done(key) ? v->fn(seq, r, v->arg, err) : TBL_BAD_KEY;
}

int
tbl_tag_log_each(struct txn *t, uint64_t repo, const char *tag,
                 int (*fn)(uint64_t seq, const struct rec_tag_log *r, void *arg, struct err *err),
                 void *arg, struct err *err)
{
    struct tag_log_visit v = {fn, arg};
    struct key all = tag_log_key(repo, tag, 0);

    return tbl_each(t, &record_tag_log, &(struct kv_range){.prefix = key_of(&all)}, visit_tag_log,
                    &v, err);
}

/* ---- all of them ---- */

struct tag_log_scan {
    int (*fn)(const struct tag_log_place *at, const struct rec_tag_log *r, void *arg,
              struct err *err);
    void *arg;
};

static int
scan_tag_log(struct unpack *key, const void *r, void *arg, struct err *err)
{
    const struct tag_log_scan *s = arg;
    struct tag_log_place at;
    struct bytes text;

    at.repo = unpack_u64(key);
    if (key->n <= sizeof(uint64_t) || key->n > sizeof(uint64_t) + sizeof at.tag)
        return TBL_BAD_KEY;
    text = unpack_bytes(key, key->n - sizeof(uint64_t));
    at.seq = unpack_u64(key);
    if (!unpack_done(key) || strnlen(text.p, text.n) != text.n - 1)
        return TBL_BAD_KEY;
    memcpy(at.tag, text.p, text.n);
    return s->fn(&at, r, s->arg, err);
}

int
tbl_tag_log_scan(struct txn *t, const struct tag_log_place *after,
                 int (*fn)(const struct tag_log_place *at, const struct rec_tag_log *r, void *arg,
                           struct err *err),
                 void *arg, struct err *err)
{
    struct tag_log_scan s = {fn, arg};
    struct key from = tag_log_key(after->repo, after->tag, after->seq);

    return tbl_each(t, &record_tag_log, &(struct kv_range){.from = key_of(&from), .behind = true},
                    scan_tag_log, &s, err);
}

int
tbl_tag_log_drop_at(struct txn *t, const struct tag_log_place *at, struct err *err)
{
    return tbl_drop(t, &record_tag_log, tag_log_key(at->repo, at->tag, at->seq), err);
}

int
tbl_tag_log_any(struct txn *t, uint64_t repo, struct err *err)
{
    struct key k = {.n = 0};

    key_u64(&k, repo);
    return kv_range_any(t, TABLE_TAG_LOG, key_of(&k), err);
}
