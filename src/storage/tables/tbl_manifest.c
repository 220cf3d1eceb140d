#include "storage/tables/tbl_manifest.h"
#include "storage/kv/kv_range.h"
#include "storage/tables/tbl.h"

static struct key
manifest_key(uint64_t repo, const struct digest *d)
{
    struct key k = {.n = 0};

    key_u64(&k, repo);
    key_digest(&k, d);
    return k;
}

int
tbl_manifest_get(struct txn *t, uint64_t repo, const struct digest *d, struct rec_manifest *r,
                 struct err *err)
{
    return tbl_get(t, &record_manifest, manifest_key(repo, d), r, err);
}

int
tbl_manifest_get_for_update(struct txn *t, uint64_t repo, const struct digest *d,
                            struct rec_manifest *r, struct err *err)
{
    return tbl_get_for_update(t, &record_manifest, manifest_key(repo, d), r, err);
}

void
tbl_manifest_expect(struct txn *t, uint64_t repo, const struct digest *d)
{
    tbl_expect(t, &record_manifest, manifest_key(repo, d));
}

void
tbl_manifest_expect_for_update(struct txn *t, uint64_t repo, const struct digest *d)
{
    tbl_expect_for_update(t, &record_manifest, manifest_key(repo, d));
}

int
tbl_manifest_put(struct txn *t, uint64_t repo, const struct digest *d, const struct rec_manifest *r,
                 struct err *err)
{
    return tbl_put(t, &record_manifest, manifest_key(repo, d), r, err);
}

int
tbl_manifest_delete(struct txn *t, uint64_t repo, const struct digest *d, struct err *err)
{
    return tbl_delete(t, &record_manifest, manifest_key(repo, d), err);
}

int
tbl_manifest_any(struct txn *t, uint64_t repo, struct err *err)
{
    struct key k = {.n = 0};

    key_u64(&k, repo);
    return kv_range_any(t, TABLE_MANIFEST, key_of(&k), err);
}

void
tbl_manifest_expect_any(struct txn *t, uint64_t repo)
{
    struct key k = {.n = 0};

    key_u64(&k, repo);
    kv_expect_range(t, TABLE_MANIFEST, &(struct kv_range){.prefix = key_of(&k), .limit = 1});
}

struct manifest_visit {
    int (*fn)(uint64_t repo, const struct digest *d, const struct rec_manifest *r, void *arg,
              struct err *err);
    void *arg;
};

static int
visit_manifest(struct unpack *key, const void *r, void *arg, struct err *err)
{
    const struct manifest_visit *v = arg;
    uint64_t repo = unpack_u64(key);
    struct digest d;

    unpack_digest(key, &d);
    return unpack_done(key) ? v->fn(repo, &d, r, v->arg, err) : TBL_BAD_KEY;
}

int
tbl_manifest_each(struct txn *t, uint64_t repo, const struct digest *after,
                  int (*fn)(uint64_t repo, const struct digest *d, const struct rec_manifest *r,
                            void *arg, struct err *err),
                  void *arg, struct err *err)
{
    struct manifest_visit v = {fn, arg};
    struct key k = {.n = 0};

    key_u64(&k, repo);
    if (after->algo != DIGEST_NONE)
        key_digest(&k, after);
    return tbl_each(t, &record_manifest, &(struct kv_range){.from = key_of(&k), .behind = true},
                    visit_manifest, &v, err);
}
