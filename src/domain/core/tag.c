#include "domain/core/tag.h"

#include <stdio.h>

#include "domain/core/count_limit.h"
#include "domain/core/repository.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_tag_log.h"
#include "util/clock.h"
#include "util/banned.h"

int
tag_move(struct txn *t, const struct registry *reg, uint64_t repo, const char *tag,
         const struct digest *to, const struct actor *actor, struct digest *old, struct err *err)
{
    struct rec_tag_log move = {.after = *to, .time = clock_wall_ms()};
    struct rec_tag r;
    int rc = tbl_tag_get_for_update(t, repo, tag, &r, err);

    if (rc < 0 || (rc == 0 && count_limit_add_tag(t, reg, repo, err) != 0))
        return -1;
    *old = rc == 1 ? r.target : (struct digest){.algo = DIGEST_NONE};
    r = (struct rec_tag){.target = *to, .updated = move.time};
    snprintf(r.by, sizeof r.by, "%s", actor->user);
    if (tbl_tag_put(t, repo, tag, &r, err) != 0)
        return -1;
    if (digest_equal(old, to))
        return 0;
    move.before = *old;
    snprintf(move.by, sizeof move.by, "%s", actor->user);
    return tbl_tag_log_add(t, repo, tag, &move, err);
}

int
tag_remove(struct txn *t, uint64_t repo, const char *tag, const struct digest *from,
           const struct actor *actor, struct err *err)
{
    struct rec_tag_log move = {.before = *from, .time = clock_wall_ms()};
    struct rec_tag r;
    int rc = tbl_tag_get_for_update(t, repo, tag, &r, err);

    if (rc != 1)
        return rc;
    if (!digest_equal(&r.target, from))
        return 0;
    snprintf(move.by, sizeof move.by, "%s", actor->user);
    if (tbl_tag_delete(t, repo, tag, err) < 0 || count_limit_drop_tag(t, repo, err) != 0 ||
        tbl_tag_log_add(t, repo, tag, &move, err) != 0)
        return -1;
    return 1;
}

struct listing {
    struct tag_page *page;
    size_t limit;
    struct arena *arena;
};

static int
see(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    struct listing *l = arg;
    const char *name;

    (void)r;
    if (l->page->n == l->limit) {
        l->page->more = true;
        return 1;
    }
    name = arena_strdup(l->arena, tag);
    if (name == NULL)
        return err_set(err, ERR_SYSTEM, "no memory for a page of tags");
    l->page->names[l->page->n++] = name;
    return 0;
}

int
tag_list(const struct registry *reg, const char *repository, const char *after, size_t limit,
         struct arena *arena, struct tag_page *page, struct err *err)
{
    struct listing l = {page, limit, arena};
    struct rec_repo repo;

    *page = (struct tag_page){.n = 0};
    if (repository_need(reg, repository, &repo, err) != 0)
        return -1;
    page->names = arena_array(arena, limit + 1, sizeof *page->names);
    if (page->names == NULL)
        return err_set(err, ERR_SYSTEM, "no memory for a page of tags");
    return tbl_tag_each(kv_reads(reg->kv), repo.id, after, see, &l, err);
}
