#include "storage/tables/tbl_tag.h"
#include "storage/kv/kv_range.h"
#include "storage/tables/tbl.h"

/* tag "": the start of the keys of all tags. */
static struct key
tag_key(uint64_t repo, const char *tag)
{
    struct key k = {.n = 0};

    key_u64(&k, repo);
    key_text(&k, tag);
    return k;
}

int
tbl_tag_get(struct txn *t, uint64_t repo, const char *tag, struct rec_tag *r, struct err *err)
{
    return tbl_get(t, &record_tag, tag_key(repo, tag), r, err);
}

int
tbl_tag_get_for_update(struct txn *t, uint64_t repo, const char *tag, struct rec_tag *r,
                       struct err *err)
{
    return tbl_get_for_update(t, &record_tag, tag_key(repo, tag), r, err);
}

void
tbl_tag_expect(struct txn *t, uint64_t repo, const char *tag)
{
    tbl_expect(t, &record_tag, tag_key(repo, tag));
}

void
tbl_tag_expect_for_update(struct txn *t, uint64_t repo, const char *tag)
{
    tbl_expect_for_update(t, &record_tag, tag_key(repo, tag));
}

int
tbl_tag_put(struct txn *t, uint64_t repo, const char *tag, const struct rec_tag *r, struct err *err)
{
    return tbl_put(t, &record_tag, tag_key(repo, tag), r, err);
}

int
tbl_tag_drop(struct txn *t, uint64_t repo, const char *tag, struct err *err)
{
    return tbl_drop(t, &record_tag, tag_key(repo, tag), err);
}

int
tbl_tag_any(struct txn *t, uint64_t repo, struct err *err)
{
    struct key k = tag_key(repo, "");

    return kv_range_any(t, TABLE_TAG, key_of(&k), err);
}

struct tag_visit {
    int (*fn)(const char *tag, const struct rec_tag *r, void *arg, struct err *err);
    void *arg;
};

static int
visit_tag(struct unpack *key, const void *r, void *arg, struct err *err)
{
    const struct tag_visit *v = arg;
    char tag[RECORD_TAG_MAX + 1];

    unpack_u64(key);
    key_take_text(key, tag, sizeof tag);
    return unpack_done(key) ? v->fn(tag, r, v->arg, err) : TBL_BAD_KEY;
}

int
tbl_tag_each(struct txn *t, uint64_t repo, const char *after,
             int (*fn)(const char *tag, const struct rec_tag *r, void *arg, struct err *err),
             void *arg, struct err *err)
{
    /* No tag is longer, so what sorts behind the start of `after` sorts behind all of it. */
    char start[RECORD_TAG_MAX + 1];
    struct tag_visit v = {fn, arg};
    struct key all = tag_key(repo, ""), from;

    snprintf(start, sizeof start, "%s", after);
    from = tag_key(repo, start);
    return tbl_each(
        t, &record_tag,
        &(struct kv_range){.prefix = key_of(&all), .from = key_of(&from), .behind = true},
        visit_tag, &v, err);
}
