#include "domain/core/repository.h"
#include "domain/core/count_limit.h"
#include "domain/core/name.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_meta.h"
#include "storage/tables/tbl_repo.h"
#include "storage/tables/tbl_tag.h"
#include "util/clock.h"

/* The time of the last change is kept to the minute. */
#define TOUCH_MS 60000

/* The namespace of names without one, for clients of the first API. */
#define LIBRARY "library/"

int
repository_find(const struct registry *reg, const char *name, struct rec_repo *r, struct err *err)
{
    return tbl_repo_get(kv_reads(reg->kv), name, r, err);
}

int
repository_need(const struct registry *reg, const char *name, struct rec_repo *r, struct err *err)
{
    int rc = repository_find(reg, name, r, err);

    if (rc == 0)
        return err_set(err, ERR_NO_REPOSITORY, "there is no repository %s", name);
    return rc < 0 ? -1 : 0;
}

struct repository_new {
    const struct registry *reg;
    const char *name;
    struct rec_repo *r;
};

static int
put_repository(struct txn *t, void *arg, struct err *err)
{
    const struct repository_new *m = arg;
    struct rec_repo r = {.created = clock_wall_ms()};
    int rc;

    r.updated = r.created;
    if (tbl_meta_take_next(t, META_NEXT_REPO, &r.id, err) != 0)
        return -1;
    rc = tbl_repo_get_for_update(t, m->name, m->r, err);
    if (rc != 0) /* made by another request in the meantime; the id that was taken is lost */
        return rc < 0 ? -1 : 0;
    *m->r = r;
    if (count_limit_add_repository(t, m->reg, err) != 0)
        return -1;
    return tbl_repo_put(t, m->name, &r, err);
}

int
repository_ensure(const struct registry *reg, const char *name, struct rec_repo *r, struct err *err)
{
    struct repository_new m = {reg, name, r};
    int rc = repository_find(reg, name, r, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    return txn_run(reg->kv, put_repository, &m, err);
}

int
repository_has_any(const struct registry *reg, uint64_t id, struct err *err)
{
    int rc = tbl_manifest_any(kv_reads(reg->kv), id, err);

    return rc == 0 ? tbl_tag_any(kv_reads(reg->kv), id, err) : rc;
}

static int
is_repository_in_use(const struct registry *reg, const char *name, struct err *err)
{
    struct rec_repo r;
    int rc = repository_find(reg, name, &r, err);

    return rc == 1 ? repository_has_any(reg, r.id, err) : rc;
}

/* The other name of a repository: NAME for library/NAME, and library/NAME for NAME. NULL: there is
 * none. */
static const char *
other_name(const char *name, struct arena *arena)
{
    const size_t n = strlen(LIBRARY);
    const char *other;

    if (strncmp(name, LIBRARY, n) == 0)
        return strchr(name + n, '/') == NULL ? name + n : NULL;
    if (strchr(name, '/') != NULL)
        return NULL;
    other = arena_printf(arena, LIBRARY "%s", name);
    return other != NULL && name_is_repository(other) ? other : NULL;
}

int
repository_meant(const struct registry *reg, const char *name, struct arena *arena,
                 const char **meant, struct err *err)
{
    const char *other = other_name(name, arena);
    int here;

    *meant = name;
    if (other == NULL)
        return 0;
    here = is_repository_in_use(reg, name, err);
    if (here == 0 && (here = is_repository_in_use(reg, other, err)) == 1)
        *meant = other;
    return here < 0 ? -1 : 0;
}

static int
add_to_repository_batch(const char *name, const struct rec_repo *r, void *arg, struct err *err)
{
    struct repository_batch *b = arg;

    (void)err;
    snprintf(b->v[b->n].name, sizeof b->v[b->n].name, "%s", name);
    b->v[b->n].id = r->id;
    b->n++;
    return b->n == REPOSITORY_BATCH;
}

int
repository_next(const struct registry *reg, struct repository_batch *b, struct err *err)
{
    b->n = 0;
    if (tbl_repo_each(kv_reads(reg->kv), b->after, add_to_repository_batch, b, err) != 0)
        return -1;
    if (b->n > 0)
        memcpy(b->after, b->v[b->n - 1].name, sizeof b->after);
    return 0;
}

int
repository_touch(struct txn *t, const char *name, const struct rec_repo *r, uint64_t now,
                 struct err *err)
{
    struct rec_repo current;
    int rc;

    if (now < r->updated + TOUCH_MS)
        return 0;
    rc = tbl_repo_get_for_update(t, name, &current, err);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return err_set(err, ERR_NO_REPOSITORY, "there is no repository %s", name);
    current.updated = now;
    return tbl_repo_put(t, name, &current, err);
}
