#include "domain/core/push_expect.h"
#include "domain/core/quota.h"
#include "domain/core/repository.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_manifest.h"

void
push_expect_look(const struct registry *reg, const char *repository, const struct digest *d,
                 const struct manifest *m, bool by_digest)
{
    struct txn *t = kv_reads(reg->kv);
    uint64_t repo;

    if (!kv_expects(t))
        return;
    repo = repository_expect(reg, repository);
    if (m->is_image)
        tbl_blob_expect(t, &m->config);
    for (size_t i = 0; i < m->descriptors_n && m->is_image; i++)
        if (m->descriptors[i].part == PART_LAYER && !m->descriptors[i].elsewhere)
            tbl_edge_expect_kept(t, &m->descriptors[i].digest);
    if (by_digest && repo != 0) {
        tbl_edge_expect_each(t, d, EDGE_TAG, repo);
        tbl_edge_expect_each(t, d, EDGE_CHILD, repo);
    }
}

static void
expect_part(struct txn *t, const struct push_expect *x, const struct manifest_descriptor *part)
{
    struct edge member = {.to = part->digest, .kind = EDGE_MEMBER, .repo = x->repo->id};

    if (part->part == PART_CHILD)
        tbl_manifest_expect(t, x->repo->id, &part->digest);
    tbl_blob_expect(t, &part->digest);
    tbl_edge_expect(t, &member);
}

void
push_expect_records(struct txn *t, const struct push_expect *x)
{
    uint64_t repo = x->repo->id, set;

    if (!kv_expects(t) || repo == 0)
        return;
    repository_expect_enter(t, x->repository, x->now, x->repo);
    tag_move_expect(t, x->move);
    if (x->renews)
        tbl_manifest_expect_for_update(t, repo, x->digest);
    else
        tbl_manifest_expect(t, repo, x->digest);
    tbl_content_expect(t, x->digest);
    for (size_t i = 0; i < x->parts_n; i++)
        if (!x->parts[i].elsewhere)
            expect_part(t, x, &x->parts[i]);
    for (size_t i = 0; i < x->layers->n; i++)
        tbl_edge_expect_kept(t, &x->layers->v[i].blob);
    set = quota_set_of(x->reg, x->repository);
    quota_expect(t, x->reg, set, repo, x->digest);
    for (size_t i = 0; i < x->parts_n; i++)
        quota_expect(t, x->reg, set, repo, &x->parts[i].digest);
}
