#include "domain/core/immutable_target.h"
#include "domain/access/immutable.h"
#include "storage/tables/tbl_edge.h"

/* Indexes with that manifest whose tags are looked at. */
#define INDEXES_MAX 100

struct immutable_search {
    const struct registry *reg;
    const struct actor *actor;
    const char *repository;
    struct digest indexes[INDEXES_MAX];
    size_t n;
};

static int
refuse_immutable_tag(const struct edge *e, void *arg, struct err *err)
{
    const struct immutable_search *s = arg;

    return immutable_check(s->reg, s->actor, s->repository, e->tag, &e->to, err);
}

static int
note_index(const struct edge *e, void *arg, struct err *err)
{
    struct immutable_search *s = arg;

    (void)err;
    s->indexes[s->n++] = e->from;
    return s->n == INDEXES_MAX;
}

int
immutable_target_check(const struct registry *reg, const struct actor *actor,
                       const char *repository, uint64_t repo, const struct digest *manifest,
                       struct err *err)
{
    struct immutable_search s = {.reg = reg, .actor = actor, .repository = repository};
    struct txn *t = kv_reads(reg->kv);

    if (reg->immutable_n == 0 || actor->forces)
        return 0;
    if (tbl_edge_each(t, manifest, EDGE_TAG, repo, NULL, refuse_immutable_tag, &s, err) != 0 ||
        tbl_edge_each(t, manifest, EDGE_CHILD, repo, NULL, note_index, &s, err) != 0)
        return -1;
    for (size_t i = 0; i < s.n; i++)
        if (tbl_edge_each(t, &s.indexes[i], EDGE_TAG, repo, NULL, refuse_immutable_tag, &s, err) !=
            0)
            return -1;
    return 0;
}
