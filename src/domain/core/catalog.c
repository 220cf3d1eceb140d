#include "domain/core/catalog.h"
#include "domain/core/repository.h"

/* Is the repository listed for this actor? 1, 0, -1. */
static int
is_listed(const struct registry *reg, const struct actor *actor, const char *name, uint64_t id,
          struct err *err)
{
    struct err refused;

    if (access_check(reg, actor, name, VERB_PULL, &refused) != 0)
        return 0;
    return repository_has_any(reg, id, err);
}

struct page_filling {
    const struct registry *reg;
    const struct actor *actor;
    size_t limit;
    struct arena *arena;
    struct catalog_page *page;
    size_t hidden; /* names that were passed over */
};

/* Adds the repository to the page if it is listed. Sets page->more if the page is full already, or
 * if too many were passed over. */
static int
add_to_page(struct page_filling *f, const char *name, uint64_t id, struct err *err)
{
    struct catalog_page *page = f->page;
    int listed = is_listed(f->reg, f->actor, name, id, err);

    if (listed < 0)
        return -1;
    if (listed == 1 && page->n == f->limit) {
        page->more = true;
    } else if (listed == 1) {
        page->names[page->n] = arena_strdup(f->arena, name);
        if (page->names[page->n++] == NULL)
            return arena_full(err);
    } else if (++f->hidden == CATALOG_HIDDEN_MAX && f->limit > 0) {
        page->more = true;
        page->hidden = arena_strdup(f->arena, name);
        if (page->hidden == NULL)
            return arena_full(err);
    }
    return 0;
}

int
catalog_list(const struct registry *reg, const struct actor *actor, const char *after, size_t limit,
             struct arena *arena, struct catalog_page *page, struct err *err)
{
    struct repository_batch *b = arena_alloc(arena, sizeof *b);
    struct page_filling f = {
        .reg = reg, .actor = actor, .limit = limit, .arena = arena, .page = page};

    *page = (struct catalog_page){.names = arena_array(arena, limit + 1, sizeof *page->names)};
    if (page->names == NULL || b == NULL)
        return arena_full(err);
    snprintf(b->after, sizeof b->after, "%s", after);
    do {
        if (repository_next_seen(reg, actor, b, err) != 0)
            return -1;
        for (size_t i = 0; i < b->n && !page->more; i++)
            if (add_to_page(&f, b->v[i].name, b->v[i].id, err) != 0)
                return -1;
    } while (b->n == REPOSITORY_BATCH && !page->more);
    return 0;
}

/* For a repository with the text in its name: counts it, and adds it if it belongs to the page. */
static int
add_to_found(const struct registry *reg, const struct actor *actor, const char *name, uint64_t id,
             uint64_t skip, size_t limit, struct arena *arena, struct catalog_found *found,
             struct err *err)
{
    bool exact = found->total < CATALOG_EXACT_MAX;
    bool here = found->total >= skip && found->total - skip < limit;
    int listed = exact || here ? is_listed(reg, actor, name, id, err) : 1;

    if (listed < 0)
        return -1;
    if (listed == 1 && here && (found->names[found->n++] = arena_strdup(arena, name)) == NULL)
        return arena_full(err);
    if (listed == 1 || !exact)
        found->total++;
    return 0;
}

int
catalog_search(const struct registry *reg, const struct actor *actor, const char *text,
               uint64_t skip, size_t limit, struct arena *arena, struct catalog_found *found,
               struct err *err)
{
    struct repository_batch *b = arena_alloc(arena, sizeof *b);

    *found = (struct catalog_found){.names = arena_array(arena, limit, sizeof *found->names)};
    if (found->names == NULL || b == NULL)
        return arena_full(err);
    b->after[0] = '\0';
    do {
        if (repository_next_seen(reg, actor, b, err) != 0)
            return -1;
        for (size_t i = 0; i < b->n; i++)
            if (strcasestr(b->v[i].name, text) != NULL &&
                add_to_found(reg, actor, b->v[i].name, b->v[i].id, skip, limit, arena, found,
                             err) != 0)
                return -1;
    } while (b->n == REPOSITORY_BATCH);
    return 0;
}
