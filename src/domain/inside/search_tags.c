#include "domain/inside/search_tags.h"
#include <stdlib.h>
#include "domain/core/repository.h"
#include "domain/core/tag.h"
#include "util/mem.h"

struct tag_gathering {
    struct search_tags *out;
    const struct search_place *after;
    uint64_t after_repo; /* of that place; 0: there is none any more */
    size_t room;
};

/* Newest first. */
static int
compare_search_tags(const void *a, const void *b)
{
    const struct search_tag *x = a, *y = b;

    if (x->updated != y->updated)
        return x->updated > y->updated ? -1 : 1;
    if (x->repo != y->repo)
        return x->repo < y->repo ? -1 : 1;
    return strcmp(x->tag, y->tag);
}

/* Is it behind the place, or at a place within its image? */
static bool
is_behind(const struct tag_gathering *g, uint64_t repo, const char *tag, uint64_t updated)
{
    const struct search_place *a = g->after;
    int order;

    if (a->repository[0] == '\0')
        return true;
    if (updated != a->updated)
        return updated < a->updated;
    if (repo != g->after_repo)
        return repo > g->after_repo;
    order = strcmp(tag, a->tag);
    return order > 0 || (order == 0 && a->given != UINT64_MAX);
}

/* Keeps twice as many as are wanted, and then the newest half of them. */
static void
keep_newest(struct search_tags *out)
{
    if (out->n > 0)
        qsort(out->v, out->n, sizeof *out->v, compare_search_tags);
    if (out->n > out->max) {
        out->n = out->max;
        out->more = true;
    }
}

static void
gather_tag(struct tag_gathering *g, uint64_t repo, const char *tag, const struct rec_tag *r)
{
    struct search_tags *out = g->out;
    struct search_tag *one;

    if (r->target.algo == DIGEST_V1_ID || !is_behind(g, repo, tag, r->updated))
        return;
    if (out->n == 2 * out->max)
        keep_newest(out);
    out->v = mem_grow(out->v, &g->room, out->n + 1, sizeof *out->v);
    one = &out->v[out->n++];
    *one = (struct search_tag){.updated = r->updated, .repo = repo, .target = r->target};
    snprintf(one->tag, sizeof one->tag, "%s", tag);
}

static int
gather_repository(const struct registry *reg, struct tag_gathering *g, uint64_t repo,
                  struct tag_batch *b, struct err *err)
{
    char after[RECORD_TAG_MAX + 1] = "";

    do {
        if (tag_batch_read(reg, repo, after, b, err) != 0)
            return -1;
        for (size_t i = 0; i < b->n; i++)
            gather_tag(g, repo, b->v[i].name, &b->v[i].r);
        if (b->n > 0)
            memcpy(after, b->v[b->n - 1].name, sizeof after);
    } while (b->n == TAG_BATCH);
    return 0;
}

static int
gather_all(const struct registry *reg, const struct actor *actor, struct tag_gathering *g,
           struct err *err)
{
    struct repository_batch *r = mem_alloc(sizeof *r);
    struct tag_batch *b = mem_alloc(sizeof *b);
    int rc = 0;

    r->after[0] = '\0';
    do {
        rc = repository_next_seen(reg, actor, r, err);
        for (size_t i = 0; i < r->n && rc == 0; i++) {
            int may = repository_may_pull(reg, actor, r->v[i].id, err);

            rc = may < 0 ? -1 : may > 0 ? gather_repository(reg, g, r->v[i].id, b, err) : 0;
        }
    } while (rc == 0 && r->n == REPOSITORY_BATCH);
    free(r);
    free(b);
    return rc;
}

/* A place in a repository that the actor may not pull counts as one that doesn't exist: the order
 * of the tags that the actor may see must not tell the difference. 0, -1. */
static int
find_place(const struct registry *reg, const struct actor *actor, struct tag_gathering *g,
           struct err *err)
{
    struct rec_repo repo;
    int rc = 0;

    if (g->after->repository[0] != '\0')
        rc = repository_find(reg, g->after->repository, &repo, err);
    if (rc == 1)
        rc = repository_may_pull(reg, actor, repo.id, err);
    g->after_repo = rc == 1 ? repo.id : 0;
    return rc < 0 ? -1 : 0;
}

int
search_tags_read(const struct registry *reg, const struct actor *actor,
                 const struct search_place *after, struct search_tags *out, struct err *err)
{
    struct tag_gathering g = {.out = out, .after = after};

    out->v = NULL;
    out->n = 0;
    out->more = false;
    if (find_place(reg, actor, &g, err) != 0 || gather_all(reg, actor, &g, err) != 0)
        return -1;
    if (out->n > 0)
        keep_newest(out);
    return 0;
}

void
search_tags_free(struct search_tags *tags)
{
    free(tags->v);
}
