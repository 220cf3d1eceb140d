#include "domain/access/bearer_grants.h"

bool
bearer_grants_add(struct bearer_grants *g, struct bytes repository, unsigned actions)
{
    size_t bytes = BEARER_GRANT_BYTES + repository.n;

    for (size_t i = 0; i < g->n; i++) {
        if (bytes_equal(g->v[i].repository, repository)) {
            g->v[i].actions |= actions;
            return true;
        }
    }
    if (g->n == BEARER_GRANTS_MAX || bytes > BEARER_GRANTS_BYTES - g->bytes)
        return false;
    g->v[g->n++] = (struct bearer_grant){repository, actions};
    g->bytes += bytes;
    return true;
}

bool
bearer_grants_hold(const struct bearer_grants *g, struct bytes repository, unsigned actions)
{
    for (size_t i = 0; i < g->n; i++)
        if (bytes_equal(g->v[i].repository, repository))
            return (g->v[i].actions & (actions | BEARER_ALL)) != 0;
    return false;
}
