#include "storage/tables/tbl_tag.h"

#include <stdio.h>
#include <string.h>

#include "storage/kv/kv_range.h"
#include "storage/tables/tbl.h"
#include "util/banned.h"

static struct key
make_key(uint64_t repo, const char *tag)
{
    struct key k = {.n = 0};

    key_u64(&k, repo);
    key_text(&k, tag);
    return k;
}

static int
load(struct txn *t, const struct key *k, bool for_update, struct rec_tag *r, struct err *err)
{
    struct buf val;
    int rc = tbl_fetch(t, TABLE_TAG, k, for_update, TBL_RECORD_MAX, &val, err);

    if (rc == 1 && rec_tag_decode(r, buf_bytes(&val), err) != 0)
        rc = -1;
    buf_free(&val);
    return rc;
}

int
tbl_tag_get(struct txn *t, uint64_t repo, const char *tag, struct rec_tag *r, struct err *err)
{
    struct key k = make_key(repo, tag);

    return load(t, &k, false, r, err);
}

int
tbl_tag_get_for_update(struct txn *t, uint64_t repo, const char *tag, struct rec_tag *r,
                       struct err *err)
{
    struct key k = make_key(repo, tag);

    return load(t, &k, true, r, err);
}

int
tbl_tag_put(struct txn *t, uint64_t repo, const char *tag, const struct rec_tag *r, struct err *err)
{
    struct key k = make_key(repo, tag);
    struct buf val;

    buf_init(&val, TBL_RECORD_MAX);
    rec_tag_encode(&val, r);
    return tbl_store(t, TABLE_TAG, &k, &val, err);
}

int
tbl_tag_delete(struct txn *t, uint64_t repo, const char *tag, struct err *err)
{
    struct key k = make_key(repo, tag);

    return kv_delete(t, TABLE_TAG, key_of(&k), err);
}

int
tbl_tag_any(struct txn *t, uint64_t repo, struct err *err)
{
    struct key prefix = {.n = 0};

    key_u64(&prefix, repo);
    return kv_range_any(t, TABLE_TAG, key_of(&prefix), err);
}

struct each {
    const char *after;
    int (*fn)(const char *tag, const struct rec_tag *r, void *arg, struct err *err);
    void *arg;
};

static int
visit(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    const struct each *e = arg;
    struct rec_reader rd = rec_reader_of(key);
    char tag[RECORD_TAG_MAX + 1];
    struct rec_tag r;
    struct bytes text;

    rec_take_u64(&rd);
    text = rec_take_rest(&rd);
    if (rd.bad || text.n >= sizeof tag)
        return err_set(err, ERR_CORRUPT, "a key of table tag can't be read");
    memcpy(tag, text.p, text.n);
    tag[text.n] = '\0';
    if (strcmp(tag, e->after) == 0)
        return 0;
    if (rec_tag_decode(&r, val, err) != 0)
        return -1;
    return e->fn(tag, &r, e->arg, err);
}

int
tbl_tag_each(struct txn *t, uint64_t repo, const char *after,
             int (*fn)(const char *tag, const struct rec_tag *r, void *arg, struct err *err),
             void *arg, struct err *err)
{
    /* No tag is longer, so what sorts behind the start of `after` sorts behind all of it. */
    char start[RECORD_TAG_MAX + 1];
    struct each e = {start, fn, arg};
    struct key prefix = {.n = 0}, from;

    snprintf(start, sizeof start, "%s", after);
    from = make_key(repo, start);
    key_u64(&prefix, repo);
    return kv_range_each(t, TABLE_TAG,
                         &(struct kv_range){.prefix = key_of(&prefix), .from = key_of(&from)},
                         visit, &e, err);
}
