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

/* No tag is longer than a start, so what sorts behind the start of `after` sorts behind all of it.
 */
struct tag_range {
    struct key all, from;
    struct kv_range range;
};

static const struct kv_range *
range_of_tags(struct tag_range *r, uint64_t repo, const char *after)
{
    char start[RECORD_TAG_MAX + 1];

    snprintf(start, sizeof start, "%s", after);
    r->all = tag_key(repo, "");
    r->from = tag_key(repo, start);
    r->range =
        (struct kv_range){.prefix = key_of(&r->all), .from = key_of(&r->from), .behind = true};
    return &r->range;
}

int
tbl_tag_each(struct txn *t, uint64_t repo, const char *after,
             int (*fn)(const char *tag, const struct rec_tag *r, void *arg, struct err *err),
             void *arg, struct err *err)
{
    struct tag_visit v = {fn, arg};
    struct tag_range r;

    return tbl_each(t, &record_tag, range_of_tags(&r, repo, after), visit_tag, &v, err);
}

void
tbl_tag_expect_each(struct txn *t, uint64_t repo, const char *after)
{
    struct tag_range r;

    kv_expect_range(t, TABLE_TAG, range_of_tags(&r, repo, after));
}
