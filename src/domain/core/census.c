#include "domain/core/census.h"
#include "domain/core/repository_sizes.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_meta.h"
#include "storage/tables/tbl_repo_name.h"
#include "storage/tables/tbl_tally.h"

/* Of one step. Looking for the repositories of a blob costs more than a blob does. */
#define REPOSITORIES_MAX 1000
#define BLOBS_MAX 100
#define OWNERS_MAX 200

/* ---- tags ---- */

struct tag_sum {
    struct census *census;
    unsigned n;
};

static int
add_tags(uint64_t repo, uint64_t n, void *arg, struct err *err)
{
    struct tag_sum *sum = arg;

    (void)err;
    sum->census->repo = repo;
    sum->census->numbers.tags += n;
    return ++sum->n == REPOSITORIES_MAX;
}

static int
count_repositories_tags(struct census *c, const struct registry *reg, struct err *err)
{
    struct tag_sum sum = {.census = c};

    if (c->repo == 0)
        repository_sizes_begin(reg->sizes);
    if (tbl_tally_each(kv_reads(reg->kv), TALLY_TAGS, c->repo, add_tags, &sum, err) != 0)
        return -1;
    c->in_blobs = sum.n < REPOSITORIES_MAX;
    return 0;
}

/* ---- blobs ---- */

/* The visitor runs with a page locked, so it only remembers. */
struct blob_page {
    struct digest v[BLOBS_MAX];
    uint64_t sizes[BLOBS_MAX];
    unsigned n;
};

static int
note_blob(const struct digest *d, const struct rec_blob *r, void *arg, struct err *err)
{
    struct blob_page *page = arg;

    (void)err;
    page->v[page->n] = *d;
    page->sizes[page->n++] = r->size;
    return page->n == BLOBS_MAX;
}

/* Counts the repositories that may serve the blob, *left at most. 1: there may be more; 0; -1. */
static int
count_owners(struct census *c, const struct registry *reg, unsigned *left, struct err *err)
{
    struct rec_repo_name name;
    uint64_t repo;
    int rc;

    while (*left > 0) {
        rc = tbl_edge_next_repo(kv_reads(reg->kv), &c->blob, EDGE_MEMBER, c->owner, &repo, err);
        if (rc < 0)
            return -1;
        if (rc == 0) {
            c->owner = 0;
            c->has_owner = false;
            return 0;
        }
        --*left;
        c->owner = repo;
        rc = tbl_repo_name_get(kv_reads(reg->kv), repo, &name, err);
        if (rc < 0)
            return -1;
        if (rc == 0) /* it was removed, and its right to the blob goes with the blob */
            continue;
        /* The first one would have it anyway. */
        c->numbers.shared_bytes += c->has_owner ? c->size : 0;
        c->has_owner = true;
        repository_sizes_add(reg->sizes, repo, c->size);
    }
    return 1;
}

/* 1: there is more to count. */
static int
count_blobs(struct census *c, const struct registry *reg, struct err *err)
{
    struct blob_page page = {.n = 0};
    unsigned left = OWNERS_MAX;
    int rc = c->owner != 0 ? count_owners(c, reg, &left, err) : 0;

    if (rc != 0)
        return rc;
    if (tbl_blob_each(kv_reads(reg->kv), &c->blob, note_blob, &page, err) != 0)
        return -1;
    for (unsigned i = 0; i < page.n; i++) {
        if (left == 0)
            return 1;
        c->blob = page.v[i];
        c->size = page.sizes[i];
        c->numbers.blobs++;
        c->numbers.bytes += c->size;
        rc = count_owners(c, reg, &left, err);
        if (rc != 0)
            return rc;
    }
    return page.n == BLOBS_MAX;
}

int
census_step(struct census *c, const struct registry *reg, struct census_numbers *out,
            struct err *err)
{
    int rc;

    if (!c->in_blobs)
        return count_repositories_tags(c, reg, err) != 0 ? -1 : 1;
    rc = count_blobs(c, reg, err);
    if (rc == 0) {
        repository_sizes_publish(reg->sizes);
        *out = c->numbers;
        *c = (struct census){0};
    }
    return rc;
}

/* ---- what is kept over a restart ---- */

#define KEPT 5

static const char *const kept_names[KEPT] = {META_CENSUS_AT, META_CENSUS_TAGS, META_CENSUS_BLOBS,
                                             META_CENSUS_BYTES, META_CENSUS_SHARED};

int
census_last(const struct registry *reg, struct census_numbers *out, uint64_t *at_ms,
            struct err *err)
{
    uint64_t v[KEPT];

    for (int i = 0; i < KEPT; i++) {
        int rc = tbl_meta_get(kv_reads(reg->kv), kept_names[i], &v[i], err);

        if (rc != 1)
            return rc;
    }
    *at_ms = v[0];
    *out =
        (struct census_numbers){.tags = v[1], .blobs = v[2], .bytes = v[3], .shared_bytes = v[4]};
    return 1;
}

static int
put_census(struct txn *t, void *arg, struct err *err)
{
    const uint64_t *v = arg;

    kv_relax(t);
    for (int i = 0; i < KEPT; i++)
        if (tbl_meta_put(t, kept_names[i], v[i], err) != 0)
            return -1;
    return 0;
}

int
census_keep(const struct registry *reg, const struct census_numbers *n, uint64_t at_ms,
            struct err *err)
{
    uint64_t v[KEPT] = {at_ms, n->tags, n->blobs, n->bytes, n->shared_bytes};

    return txn_run(reg->kv, put_census, v, err);
}
