#include "domain/core/repository.h"
#include "domain/core/count_limit.h"
#include "domain/core/history.h"
#include "domain/core/repository_ids.h"
#include "domain/name.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_meta.h"
#include "storage/tables/tbl_repo.h"
#include "storage/tables/tbl_repo_name.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_tag_log.h"
#include "storage/tables/tbl_trash.h"
#include "util/clock.h"
#include "util/log.h"

/* The time of the last change is kept to the minute, so that pushes don't wait for each other at
 * the record. */
#define TOUCH_MS 60000

/* Moves of tags that are deleted in one transaction. */
#define LOG_BATCH 500

int
repository_find(const struct registry *reg, const char *name, struct rec_repo *r, struct err *err)
{
    int rc = tbl_repo_get(kv_reads(reg->kv), name, r, err);

    if (rc == 1)
        repository_ids_note(reg->repository_ids, name, r->id);
    return rc;
}

uint64_t
repository_expect(const struct registry *reg, const char *name)
{
    tbl_repo_expect(kv_reads(reg->kv), name);
    return repository_ids_guess(reg->repository_ids, name);
}

int
repository_need(const struct registry *reg, const char *name, struct rec_repo *r, struct err *err)
{
    int rc = repository_find(reg, name, r, err);

    if (rc == 0)
        return err_set(err, ERR_NO_REPOSITORY, "there is no repository %s", name);
    return rc < 0 ? -1 : 0;
}

int
repository_look(const struct registry *reg, const char *name, struct rec_repo *r, struct err *err)
{
    int rc = repository_find(reg, name, r, err);

    if (rc == 0)
        *r = (struct rec_repo){.id = 0};
    return rc < 0 ? -1 : 0;
}

int
repository_check_room(const struct registry *reg, const struct rec_repo *r, struct err *err)
{
    return r->id == 0 || r->emptied ? count_limit_check_repository(reg, err) : 0;
}

int
repository_has_any(const struct registry *reg, uint64_t id, struct err *err)
{
    int rc = tbl_manifest_any(kv_reads(reg->kv), id, err);

    return rc == 0 ? tbl_tag_any(kv_reads(reg->kv), id, err) : rc;
}

/* ---- a transaction that puts something into it ---- */

static int
make_repository(struct txn *t, const struct registry *reg, const char *name, uint64_t now,
                struct rec_repo *r, struct err *err)
{
    struct rec_repo new = {.created = now, .updated = now};
    int rc;

    if (tbl_meta_take_next(t, META_NEXT_REPO, &new.id, err) != 0)
        return -1;
    rc = tbl_repo_get_for_update(t, name, r, err);
    if (rc == 1 && !r->emptied) /* another request has created it; our new id is not used */
        return 0;
    if (rc < 0 || count_limit_add_repository(t, reg, err) != 0)
        return -1;
    if (rc == 0)
        *r = new;
    r->updated = now;
    r->emptied = false;
    return tbl_repo_put(t, name, r, err) != 0 ? -1 : tbl_repo_name_put(t, r->id, name, err);
}

static bool
is_changed_by_entering(const struct rec_repo *r, uint64_t now)
{
    return r->emptied || now >= r->updated + TOUCH_MS;
}

void
repository_expect_enter(struct txn *t, const char *name, uint64_t now, const struct rec_repo *r)
{
    if (is_changed_by_entering(r, now))
        tbl_repo_expect_for_update(t, name);
    else
        tbl_repo_expect(t, name);
}

int
repository_enter(struct txn *t, const struct registry *reg, const char *name, uint64_t now,
                 struct rec_repo *r, struct err *err)
{
    bool changes = is_changed_by_entering(r, now);
    int rc = r->id == 0 ? 0
             : changes  ? tbl_repo_get_for_update(t, name, r, err)
                        : tbl_repo_get(t, name, r, err);

    if (rc < 0)
        return -1;
    if (rc == 0)
        return make_repository(t, reg, name, now, r, err);
    if (r->emptied && count_limit_add_repository(t, reg, err) != 0)
        return -1;
    if (!changes && !r->emptied)
        return 0;
    r->emptied = false;
    r->updated = now;
    return tbl_repo_put(t, name, r, err);
}

struct entering {
    const struct registry *reg;
    const char *name;
    struct rec_repo *r;
};

static int
enter_repository(struct txn *t, void *arg, struct err *err)
{
    const struct entering *x = arg;

    return repository_enter(t, x->reg, x->name, clock_wall_ms(), x->r, err);
}

int
repository_ensure(const struct registry *reg, const char *name, struct rec_repo *r, struct err *err)
{
    struct entering x = {reg, name, r};

    if (repository_look(reg, name, r, err) != 0)
        return -1;
    /* Keeps a repository without manifests from being swept before the import puts one into it. */
    if (r->id != 0 && !r->emptied && clock_wall_ms() < r->updated + TOUCH_MS)
        return 0;
    return txn_run(reg->kv, enter_repository, &x, err);
}

static int
touch_repository(struct txn *t, void *arg, struct err *err)
{
    struct entering *x = arg;
    int rc = tbl_repo_get_for_update(t, x->name, x->r, err);

    if (rc != 1)
        return rc;
    x->r->updated = clock_wall_ms();
    return tbl_repo_put(t, x->name, x->r, err);
}

int
repository_hold(const struct registry *reg, const char *name, struct rec_repo *r, struct err *err)
{
    struct entering x = {reg, name, r};
    int rc;

    if (clock_wall_ms() < r->updated + reg->lease_ms / 2)
        return 0;
    rc = repository_has_any(reg, r->id, err);
    return rc == 0 ? txn_run(reg->kv, touch_repository, &x, err) : rc < 0 ? -1 : 0;
}

/* ---- when it is empty ---- */

struct emptying {
    const struct registry *reg;
    const char *name;
    bool remove;
};

/* Has the repository manifests or tags? The transaction has locked its record, which all that put
 * something into it read first. 1, 0, -1. */
static int
has_any_in(struct txn *t, uint64_t id, struct err *err)
{
    int rc = tbl_tag_any(t, id, err);

    return rc == 0 ? tbl_manifest_any(t, id, err) : rc;
}

/* Was nothing put into it for a lease, and is the history of its tags over? A repository of which
 * something was deleted was last changed by that. 1, 0, -1. */
static int
is_idle(struct txn *t, const struct registry *reg, const struct rec_repo *r, struct err *err)
{
    uint64_t now = clock_wall_ms();
    struct digest trashed;
    int rc;

    if (now <= r->updated + TOUCH_MS + reg->lease_ms)
        return 0;
    rc = tbl_tag_log_any(t, r->id, err);
    if (rc == 1 && now <= history_over(reg, r->updated) + TOUCH_MS)
        return 0;
    if (rc >= 0)
        rc = tbl_trash_first(t, r->id, &trashed, err);
    return rc < 0 ? -1 : rc == 0;
}

/* An empty repository that isn't marked as emptied yet is marked first, since its time is that of
 * its last deletion only after that. */
static int
empty_repository(struct txn *t, void *arg, struct err *err)
{
    const struct emptying *x = arg;
    struct rec_repo r;
    int rc = tbl_repo_get_for_update(t, x->name, &r, err), has, logged = 0;
    bool remove;

    if (rc != 1)
        return rc < 0 ? -1 : 0;
    has = has_any_in(t, r.id, err);
    if (has == 0 && x->remove && !r.emptied)
        logged = tbl_tag_log_any(t, r.id, err);
    if (has != 0 || logged < 0)
        return has < 0 || logged < 0 ? -1 : 0;
    remove = x->remove && logged == 0;
    rc = remove ? is_idle(t, x->reg, &r, err) : !r.emptied;
    if (rc != 1)
        return rc;
    if (!r.emptied && count_limit_drop_repository(t, err) != 0)
        return -1;
    if (!r.emptied)
        r.updated = clock_wall_ms();
    r.emptied = true;
    rc = remove ? tbl_tag_log_drop(t, r.id, LOG_BATCH, err) : 1;
    if (rc < 0)
        return -1;
    if (rc == 1)
        return tbl_repo_put(t, x->name, &r, err);
    return tbl_repo_drop(t, x->name, err) != 0 ? -1 : tbl_repo_name_drop(t, r.id, err);
}

void
repository_settle(const struct registry *reg, const char *name)
{
    struct emptying x = {.reg = reg, .name = name};
    struct rec_repo r;
    struct err err;

    if (repository_find(reg, name, &r, &err) == 1 && !r.emptied &&
        repository_has_any(reg, r.id, &err) == 0 &&
        txn_run_anyway(reg->kv, empty_repository, &x, &err) != 0)
        log_line(LOG_WARN, "an empty repository counts until it is removed", "why=%s", err.message);
}

/* ---- which is meant ---- */

/* A repository that the actor has no right to is treated as one that doesn't exist. */
static int
is_repository_in_use(const struct registry *reg, const struct actor *actor, const char *name,
                     struct err *err)
{
    struct rec_repo r;
    int rc = access_rights(reg, actor, name) != 0 ? repository_find(reg, name, &r, err) : 0;

    return rc == 1 ? repository_has_any(reg, r.id, err) : rc;
}

/* The other name of a repository: NAME for library/NAME, and library/NAME for NAME. NULL: there is
 * none. */
static const char *
other_name(const char *name, struct arena *arena)
{
    const char *other = name_short(name);

    if (other != name)
        return strchr(other, '/') == NULL ? other : NULL;
    if (strchr(name, '/') != NULL)
        return NULL;
    other = arena_printf(arena, NAME_LIBRARY "%s", name);
    return other != NULL && name_is_repository(other) ? other : NULL;
}

int
repository_meant(const struct registry *reg, const struct actor *actor, const char *name,
                 struct arena *arena, const char **meant, struct err *err)
{
    const char *other = other_name(name, arena);
    int here;

    *meant = name;
    if (other == NULL)
        return 0;
    here = is_repository_in_use(reg, actor, name, err);
    if (here == 0 && (here = is_repository_in_use(reg, actor, other, err)) == 1)
        *meant = other;
    return here < 0 ? -1 : 0;
}

/* ---- from ids to names ---- */

int
repository_name(const struct registry *reg, uint64_t id, char name[RECORD_REPOSITORY_MAX + 1],
                struct err *err)
{
    struct rec_repo_name r;
    int rc = tbl_repo_name_get(kv_reads(reg->kv), id, &r, err);

    if (rc == 1)
        memcpy(name, r.name, sizeof r.name);
    return rc;
}

int
repository_may_pull(const struct registry *reg, const struct actor *actor, uint64_t id,
                    struct err *err)
{
    char name[RECORD_REPOSITORY_MAX + 1];
    int rc;

    if (access_everywhere(reg, actor, RIGHT_PULL))
        return 1;
    rc = repository_name(reg, id, name, err);
    return rc == 1 ? (access_rights(reg, actor, name) & RIGHT_PULL) != 0 : rc;
}

int
repository_walk_next(const struct registry *reg, const struct actor *actor,
                     struct repository_walk *w, struct err *err)
{
    int rc = 0;

    while (rc == 0 && w->asked++ < REPOSITORY_WALK_MAX) {
        rc = tbl_edge_next_repo(kv_reads(reg->kv), &w->to, w->kind, w->repo, &w->repo, err);
        if (rc != 1)
            return rc;
        rc = repository_may_pull(reg, actor, w->repo, err);
    }
    return rc;
}

/* Writes the names of the repositories of a batch that still exist; after the last batch, notes
 * that all names are there. */
static int
write_repository_names(struct txn *t, void *arg, struct err *err)
{
    const struct repository_batch *b = arg;

    if (b->n < REPOSITORY_BATCH && tbl_meta_put(t, META_REPO_NAMES, 1, err) != 0)
        return -1;
    for (size_t i = 0; i < b->n; i++) {
        struct rec_repo r;
        int rc = tbl_repo_get_for_update(t, b->v[i].name, &r, err);

        if (rc < 0 || (rc == 1 && tbl_repo_name_put(t, r.id, b->v[i].name, err) != 0))
            return -1;
    }
    return 0;
}

int
repository_name_all(const struct registry *reg, struct err *err)
{
    struct repository_batch b = {.after = ""};
    uint64_t done;
    int rc = tbl_meta_get(kv_reads(reg->kv), META_REPO_NAMES, &done, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    do {
        if (repository_next(reg, &b, err) != 0 ||
            txn_run_anyway(reg->kv, write_repository_names, &b, err) != 0)
            return -1;
    } while (b.n == REPOSITORY_BATCH);
    return 0;
}

/* ---- all of them ---- */

static int
add_to_repository_batch(const char *name, const struct rec_repo *r, void *arg, struct err *err)
{
    struct repository_batch *b = arg;

    (void)err;
    snprintf(b->v[b->n].name, sizeof b->v[b->n].name, "%s", name);
    b->v[b->n].id = r->id;
    b->v[b->n].updated = r->updated;
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
repository_next_seen(const struct registry *reg, const struct actor *actor,
                     struct repository_batch *b, struct err *err)
{
    b->n = 0;
    return access_skip(reg, actor, b->after) ? repository_next(reg, b, err) : 0;
}

int
repository_sweep(const struct registry *reg, struct repository_batch *b, struct err *err)
{
    struct emptying x = {.reg = reg, .remove = true};
    uint64_t now = clock_wall_ms();

    if (repository_next(reg, b, err) != 0)
        return -1;
    if (b->n < REPOSITORY_BATCH)
        b->after[0] = '\0';
    for (size_t i = 0; i < b->n; i++) {
        int has = now > b->v[i].updated + TOUCH_MS + reg->lease_ms
                      ? repository_has_any(reg, b->v[i].id, err)
                      : 1;

        x.name = b->v[i].name;
        if (has < 0 || (has == 0 && txn_run_anyway(reg->kv, empty_repository, &x, err) != 0))
            return -1;
    }
    return 0;
}
