#include "domain/core/immutable_target.h"
#include <stdlib.h>
#include "domain/access/immutable.h"
#include "storage/tables/tbl_edge.h"
#include "util/mem.h"

/* The manifest, the indexes with it, the indexes with these, and so on. If there are more, it can't
 * be deleted: looking at all of them would take too long. */
#define MANIFESTS_MAX 1000

struct immutable_search {
    const struct registry *reg;
    const struct actor *actor;
    const char *repository;
    struct digest *manifests; /* room for MANIFESTS_MAX */
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

    for (size_t i = 0; i < s->n; i++)
        if (digest_equal(&s->manifests[i], &e->from))
            return 0;
    if (s->n == MANIFESTS_MAX)
        return err_set(err, ERR_DENIED,
                       "more than %d indexes have this manifest, so immutable tags may need it: "
                       "delete some of the indexes first",
                       MANIFESTS_MAX - 1);
    s->manifests[s->n++] = e->from;
    return 0;
}

int
immutable_target_check(const struct registry *reg, const struct actor *actor,
                       const char *repository, uint64_t repo, const struct digest *manifest,
                       struct err *err)
{
    struct immutable_search s = {.reg = reg, .actor = actor, .repository = repository};
    struct txn *t = kv_reads(reg->kv);
    int rc = 0;

    if (reg->immutable_n == 0 || actor->forces)
        return 0;
    s.manifests = mem_alloc(MANIFESTS_MAX * sizeof *s.manifests);
    s.manifests[s.n++] = *manifest;
    for (size_t i = 0; rc == 0 && i < s.n; i++) {
        rc = tbl_edge_each(t, &s.manifests[i], EDGE_TAG, repo, NULL, refuse_immutable_tag, &s, err);
        if (rc == 0)
            rc = tbl_edge_each(t, &s.manifests[i], EDGE_CHILD, repo, NULL, note_index, &s, err);
    }
    free(s.manifests);
    return rc != 0 ? -1 : 0;
}
