#include "domain/catalog.h"

#include <stdio.h>
#include <string.h>

#include "storage/record.h"
#include "storage/tbl_manifest.h"
#include "storage/tbl_repo.h"
#include "storage/tbl_tag.h"
#include "util/banned.h"

/* So many are looked at a time, with no cursor open meanwhile. */
#define BATCH 64

struct batch {
    struct {
        char name[RECORD_REPOSITORY_MAX + 1];
        uint64_t id;
    } repos[BATCH];
    size_t n;
};

static int
see(const char *name, const struct rec_repo *r, void *arg, struct err *err)
{
    struct batch *b = arg;

    (void)err;
    snprintf(b->repos[b->n].name, sizeof b->repos[b->n].name, "%s", name);
    b->repos[b->n].id = r->id;
    b->n++;
    return b->n == BATCH;
}

static int
see_tag(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    (void)tag;
    (void)r;
    (void)err;
    *(bool *)arg = true;
    return 1;
}

/* A manifest, or a tag: of v1 images there is nothing else. */
static int
has_any(const struct registry *reg, uint64_t id, struct err *err)
{
    bool any = false;
    int rc = tbl_manifest_any(kv_reads(reg->kv), id, err);

    if (rc == 0 && tbl_tag_each(kv_reads(reg->kv), id, "", see_tag, &any, err) != 0)
        return -1;
    return any ? 1 : rc;
}

/* 1 it is to be listed for this actor, 0 not, -1. */
static int
is_listed(const struct registry *reg, const struct actor *actor, const char *name, uint64_t id,
          struct err *err)
{
    struct err refused;

    if (access_check(reg, actor, name, VERB_PULL, &refused) != 0)
        return 0;
    return has_any(reg, id, err);
}

/* Takes one into the page, if it is to be listed; sets more when the page is full. */
static int
take(const struct registry *reg, const struct actor *actor, const char *name, uint64_t id,
     size_t limit, struct arena *arena, struct catalog_page *page, struct err *err)
{
    int listed = is_listed(reg, actor, name, id, err);

    if (listed != 1)
        return listed;
    if (page->n == limit) {
        page->more = true;
        return 0;
    }
    page->names[page->n] = arena_strdup(arena, name);
    if (page->names[page->n] == NULL)
        return err_set(err, ERR_SYSTEM, "no memory for a page of repositories");
    page->n++;
    return 0;
}

int
catalog_list(const struct registry *reg, const struct actor *actor, const char *after, size_t limit,
             struct arena *arena, struct catalog_page *page, struct err *err)
{
    struct batch *b = arena_alloc(arena, sizeof *b);

    *page = (struct catalog_page){.names = arena_array(arena, limit + 1, sizeof *page->names)};
    if (page->names == NULL || b == NULL)
        return err_set(err, ERR_SYSTEM, "no memory for a page of repositories");
    do {
        b->n = 0;
        if (tbl_repo_each(kv_reads(reg->kv), after, see, b, err) != 0)
            return -1;
        for (size_t i = 0; i < b->n && !page->more; i++)
            if (take(reg, actor, b->repos[i].name, b->repos[i].id, limit, arena, page, err) != 0)
                return -1;
        if (b->n > 0 && (after = arena_strdup(arena, b->repos[b->n - 1].name)) == NULL)
            return err_set(err, ERR_SYSTEM, "no memory for a page of repositories");
    } while (b->n == BATCH && !page->more);
    return 0;
}

/* One with the text in its name: counts it, and takes it when it belongs to the page. */
static int
count(const struct registry *reg, const struct actor *actor, const char *name, uint64_t id,
      uint64_t skip, size_t limit, struct arena *arena, struct catalog_found *found,
      struct err *err)
{
    bool exact = found->total < CATALOG_EXACT_MAX;
    bool here = found->total >= skip && found->total - skip < limit;
    int listed = exact || here ? is_listed(reg, actor, name, id, err) : 1;

    if (listed < 0)
        return -1;
    if (listed == 1 && here && (found->names[found->n++] = arena_strdup(arena, name)) == NULL)
        return err_set(err, ERR_SYSTEM, "no memory for a page of repositories");
    if (listed == 1 || !exact)
        found->total++;
    return 0;
}

int
catalog_search(const struct registry *reg, const struct actor *actor, const char *text,
               uint64_t skip, size_t limit, struct arena *arena, struct catalog_found *found,
               struct err *err)
{
    struct batch *b = arena_alloc(arena, sizeof *b);
    char after[RECORD_REPOSITORY_MAX + 1] = "";

    *found = (struct catalog_found){.names = arena_array(arena, limit, sizeof *found->names)};
    if (found->names == NULL || b == NULL)
        return err_set(err, ERR_SYSTEM, "no memory for a page of repositories");
    do {
        b->n = 0;
        if (tbl_repo_each(kv_reads(reg->kv), after, see, b, err) != 0)
            return -1;
        for (size_t i = 0; i < b->n; i++)
            if (strcasestr(b->repos[i].name, text) != NULL &&
                count(reg, actor, b->repos[i].name, b->repos[i].id, skip, limit, arena, found,
                      err) != 0)
                return -1;
        if (b->n > 0)
            snprintf(after, sizeof after, "%s", b->repos[b->n - 1].name);
    } while (b->n == BATCH);
    return 0;
}
