#include "domain/core/catalog.h"
#include "domain/core/repository.h"
#include "storage/tables/tbl_tally.h"

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
    const struct catalog_filter *filter;
    size_t limit;
    struct arena *arena;
    struct catalog_page *page;
    size_t hidden, unfit; /* names that were passed over */
    bool over;            /* no name behind has the prefix */
};

/* The page ends behind a name that isn't on it. */
static int
end_page_at(struct page_filling *f, const char *name, struct err *err)
{
    f->page->more = true;
    f->page->hidden = arena_strdup(f->arena, name);
    return f->page->hidden != NULL ? 0 : arena_full(err);
}

/* Adds the repository to the page if it is listed. Sets page->more if the page is full already, or
 * if too many were passed over. */
static int
add_to_page(struct page_filling *f, const char *name, uint64_t id, uint64_t updated,
            struct err *err)
{
    struct catalog_page *page = f->page;
    int listed = is_listed(f->reg, f->actor, name, id, err);

    if (listed < 0)
        return -1;
    if (listed == 1 && page->n == f->limit) {
        page->more = true;
    } else if (listed == 1) {
        page->facts[page->n] = (struct catalog_facts){id, updated};
        page->names[page->n] = arena_strdup(f->arena, name);
        if (page->names[page->n++] == NULL)
            return arena_full(err);
    } else if (++f->hidden == CATALOG_HIDDEN_MAX && f->limit > 0) {
        return end_page_at(f, name, err);
    }
    return 0;
}

static int
add_if_fit(struct page_filling *f, const char *name, uint64_t id, uint64_t updated, struct err *err)
{
    const char *prefix = f->filter->prefix, *text = f->filter->text;

    if (prefix != NULL && strncmp(name, prefix, strlen(prefix)) != 0) {
        f->over = strcmp(name, prefix) > 0;
        return 0;
    }
    if (text == NULL || strcasestr(name, text) != NULL)
        return add_to_page(f, name, id, updated, err);
    return ++f->unfit == CATALOG_UNFIT_MAX && f->limit > 0 ? end_page_at(f, name, err) : 0;
}

/* The names with the prefix come behind `after`: a text before the prefix, and behind all that is
 * smaller in its last byte. Names have only small letters and bytes below them. */
static void
begin_at_prefix(char after[RECORD_REPOSITORY_MAX + 1], const char *prefix)
{
    size_t n = strnlen(prefix, RECORD_REPOSITORY_MAX - 1);

    if (n == 0 || strcmp(after, prefix) >= 0)
        return;
    memcpy(after, prefix, n);
    after[n - 1]--;
    after[n] = '~';
    after[n + 1] = '\0';
}

int
catalog_list(const struct registry *reg, const struct actor *actor,
             const struct catalog_filter *filter, const char *after, size_t limit,
             struct arena *arena, struct catalog_page *page, struct err *err)
{
    struct repository_batch *b = arena_alloc(arena, sizeof *b);
    struct page_filling f = {
        .reg = reg, .actor = actor, .filter = filter, .limit = limit, .arena = arena, .page = page};

    *page = (struct catalog_page){.names = arena_array(arena, limit + 1, sizeof *page->names),
                                  .facts = arena_array(arena, limit + 1, sizeof *page->facts)};
    if (page->names == NULL || page->facts == NULL || b == NULL)
        return arena_full(err);
    snprintf(b->after, sizeof b->after, "%s", after);
    if (filter->prefix != NULL)
        begin_at_prefix(b->after, filter->prefix);
    do {
        if (repository_next_seen(reg, actor, b, err) != 0)
            return -1;
        for (size_t i = 0; i < b->n && !page->more && !f.over; i++)
            if (add_if_fit(&f, b->v[i].name, b->v[i].id, b->v[i].updated, err) != 0)
                return -1;
    } while (b->n == REPOSITORY_BATCH && !page->more && !f.over);
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

int
catalog_count_tags(const struct registry *reg, uint64_t id, uint64_t *n, struct err *err)
{
    const struct tally tally = {.kind = TALLY_TAGS, .repo = id};
    int rc = tbl_tally_get(kv_reads(reg->kv), &tally, n, err);

    if (rc == 0)
        *n = 0;
    return rc < 0 ? -1 : 0;
}
