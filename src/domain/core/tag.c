#include "domain/core/tag.h"
#include "domain/core/repository.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_tag.h"

struct tag_listing {
    struct tag_page *page;
    size_t limit;
    struct arena *arena;
};

static int
add_tag_name(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    struct tag_listing *l = arg;
    const char *name;

    (void)r;
    if (l->page->n == l->limit) {
        l->page->more = true;
        return 1;
    }
    name = arena_strdup(l->arena, tag);
    if (name == NULL)
        return arena_full(err);
    l->page->names[l->page->n++] = name;
    return 0;
}

int
tag_list(const struct registry *reg, const char *repository, const char *after, size_t limit,
         struct arena *arena, struct tag_page *page, struct err *err)
{
    struct tag_listing l = {page, limit, arena};
    struct txn *t = kv_reads(reg->kv);
    uint64_t guess = kv_expects(t) ? repository_expect(reg, repository) : 0;
    struct rec_repo repo;
    int rc;

    *page = (struct tag_page){.n = 0};
    page->names = arena_array(arena, limit + 1, sizeof *page->names);
    if (guess != 0)
        tbl_tag_expect_each(t, guess, after);
    rc = repository_need(reg, repository, &repo, err);
    if (rc == 0)
        rc = page->names != NULL ? tbl_tag_each(t, repo.id, after, add_tag_name, &l, err)
                                 : arena_full(err);
    kv_expect_end(t);
    return rc;
}

static int
add_to_tag_batch(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    struct tag_batch *b = arg;

    (void)err;
    snprintf(b->v[b->n].name, sizeof b->v[b->n].name, "%s", tag);
    b->v[b->n].r = *r;
    return ++b->n == TAG_BATCH;
}

int
tag_batch_read(const struct registry *reg, uint64_t repo, const char *after, struct tag_batch *b,
               struct err *err)
{
    b->n = 0;
    return tbl_tag_each(kv_reads(reg->kv), repo, after, add_to_tag_batch, b, err);
}

struct sibling_search {
    const char *tag;
    struct tag_siblings *out;
};

static int
add_sibling(const struct edge *e, void *arg, struct err *err)
{
    struct sibling_search *s = arg;
    struct tag_siblings *out = s->out;

    (void)err;
    if (strcmp(e->tag, s->tag) == 0)
        return 0;
    out->more = out->n == TAG_SIBLINGS_MAX;
    if (!out->more)
        snprintf(out->v[out->n++], sizeof out->v[0], "%s", e->tag);
    return out->more;
}

int
tag_find_siblings(const struct registry *reg, uint64_t repo, const char *tag,
                  const struct digest *target, struct tag_siblings *out, struct err *err)
{
    struct sibling_search s = {tag, out};

    out->n = 0;
    out->more = false;
    return tbl_edge_each(kv_reads(reg->kv), target, EDGE_TAG, repo, NULL, add_sibling, &s, err);
}
