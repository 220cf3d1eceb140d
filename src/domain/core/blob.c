#include "domain/core/blob.h"
#include "domain/core/blob_draft.h"
#include "domain/core/lease.h"
#include "domain/core/quota.h"
#include "domain/core/repository.h"
#include "domain/events/event.h"
#include "storage/files/disk_space.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_manifest.h"
#include "util/clock.h"

static struct edge
membership(uint64_t repo, const struct digest *d)
{
    return (struct edge){.to = *d, .kind = EDGE_MEMBER, .repo = repo};
}

/* ---- finding ---- */

struct blob_renewal {
    const struct registry *reg;
    const struct digest *d;
    struct edge
        member; /* absent if the blob was collected, and then pushed to another repository */
    bool gone;
};

static int
renew_blob(struct txn *t, void *arg, struct err *err)
{
    struct blob_renewal *rn = arg;
    struct rec_blob r;
    int rc = tbl_blob_get_for_update(t, rn->d, &r, err);

    if (rc == 1)
        rc = tbl_edge_has(t, &rn->member, err);
    rn->gone = rc == 0;
    if (rc != 1)
        return rc;
    r.leased_until = clock_wall_ms() + rn->reg->lease_ms;
    return tbl_blob_put(t, rn->d, &r, err);
}

/* Renews the lease of a blob whose existence a pusher is told. Nothing is written if an edge keeps
 * the blob, which is the common case, or if its lease is fresh. 1, 0 (the blob is gone), -1. */
static int
hold_blob_for_push(const struct registry *reg, uint64_t repo, const struct digest *d,
                   const struct rec_blob *r, struct err *err)
{
    struct blob_renewal rn = {.reg = reg, .d = d, .member = membership(repo, d)};
    int kept;

    if (r->leased_until > clock_wall_ms() + reg->lease_ms / 2)
        return 1;
    kept = tbl_edge_kept(kv_reads(reg->kv), d, err);
    if (kept != 0)
        return kept;
    if (txn_run(reg->kv, renew_blob, &rn, err) != 0)
        return -1;
    return rn.gone ? 0 : 1;
}

/* All that is read unless something has to be written. */
static void
expect_blob(const struct registry *reg, const char *repository, const struct digest *d,
            bool for_push)
{
    struct txn *t = kv_reads(reg->kv);
    uint64_t repo = kv_expects(t) ? repository_expect(reg, repository) : 0;
    struct edge member = membership(repo, d);

    if (repo == 0)
        return;
    tbl_edge_expect(t, &member);
    tbl_blob_expect(t, d);
    if (!for_push || reg->read_only)
        return;
    tbl_edge_expect_kept(t, d);
    tbl_manifest_expect_any(t, repo);
}

static int
find_member_blob(const struct registry *reg, uint64_t repo, const struct digest *d,
                 struct rec_blob *r, struct err *err)
{
    struct edge member = membership(repo, d);
    int rc = tbl_edge_has(kv_reads(reg->kv), &member, err);

    return rc == 1 ? tbl_blob_get(kv_reads(reg->kv), d, r, err) : rc;
}

static int
find_blob_in(const struct registry *reg, const char *repository, struct rec_repo *repo,
             const struct digest *d, bool for_push, struct blob *b, struct err *err)
{
    struct rec_blob r;
    int rc = find_member_blob(reg, repo->id, d, &r, err);

    for_push = for_push && !reg->read_only;
    if (rc == 1 && for_push)
        rc = hold_blob_for_push(reg, repo->id, d, &r, err);
    if (rc == 1 && for_push && repository_hold(reg, repository, repo, err) != 0)
        return -1;
    if (rc == 1) {
        b->size = r.size;
        b->instance = r.instance;
        blob_file_path(b->path, d, r.instance);
    }
    return rc;
}

int
blob_find(const struct registry *reg, const char *repository, const struct digest *d, bool for_push,
          struct blob *b, struct err *err)
{
    struct rec_repo repo;
    int rc;

    expect_blob(reg, repository, d, for_push);
    rc = repository_find(reg, repository, &repo, err);
    if (rc == 1)
        rc = find_blob_in(reg, repository, &repo, d, for_push, b, err);
    kv_expect_end(kv_reads(reg->kv));
    return rc;
}

bool
blob_has_file(const struct registry *reg, const struct digest *d, const struct blob *b,
              int64_t *modified)
{
    return blob_file_is(reg->blobs, d, b->instance, b->size, modified);
}

int
blob_read(const struct registry *reg, const struct digest *d, const struct blob *b,
          struct arena *arena, struct bytes *out, struct err *err)
{
    char *p = arena_alloc(arena, (size_t)b->size + 1);
    struct err ignored;

    if (p == NULL)
        return arena_full(err);
    *out = bytes_of(p, (size_t)b->size);
    return blob_file_read(reg->blobs, d, b->instance, p, (size_t)b->size, &ignored) == 0 ? 1 : 0;
}

static int
refuse_no_blob(const char *repository, const struct digest *d, struct err *err)
{
    char text[DIGEST_TEXT_MAX];

    digest_text(text, d);
    return err_set(err, ERR_NO_BLOB, "repository %s has no blob %s", repository, text);
}

int
blob_need(const struct registry *reg, const char *repository, const struct digest *d, bool for_push,
          struct blob *b, struct err *err)
{
    struct rec_repo repo;
    int rc;

    expect_blob(reg, repository, d, for_push);
    rc = repository_need(reg, repository, &repo, err);
    if (rc == 0)
        rc = find_blob_in(reg, repository, &repo, d, for_push, b, err);
    kv_expect_end(kv_reads(reg->kv));
    if (rc == 0)
        return refuse_no_blob(repository, d, err);
    return rc < 0 ? -1 : 0;
}

/* ---- committing ---- */

struct commit {
    struct blob_draft draft;
    const char *repository;
    struct rec_repo repo;
    uint64_t look_at; /* a job looks at the blob then; 0: there is none yet */
    const struct edge
        *source; /* for a mount: the membership that gives the right; otherwise NULL */
};

static int
put_commit_job(struct txn *t, void *arg, struct err *err)
{
    const struct commit *c = arg;

    kv_relax(t);
    return lease_look_at(t, &c->draft.digest, c->look_at, err);
}

/* Nothing keeps a new blob yet: the keeper looks at it when its lease is over. The job comes before
 * the blob, in a transaction of its own. All new jobs are on one page, the last one, and whoever
 * waits for the disk with that page locked lets all other pushes wait. The log has the job before
 * the blob, so no power loss leaves a blob without it. */
static int
announce_blob(struct commit *c, struct err *err)
{
    const struct registry *reg = c->draft.reg;

    if (blob_draft_begin(&c->draft, err) != 0)
        return -1;
    if (!c->draft.published)
        return 0;
    c->look_at = clock_wall_ms() + reg->lease_ms;
    return txn_run(reg->kv, put_commit_job, c, err);
}

/* If it is refused, the transaction is undone for sure, and the file need not stay for a record. */
static int
count_in_quota(struct txn *t, struct commit *c, struct err *err)
{
    struct blob_draft *d = &c->draft;
    struct quota_change change = {.set = quota_set_of(d->reg, c->repository)};

    if (change.set == 0)
        return 0;
    if (quota_count(t, d->reg, &change, c->repo.id, &d->digest, d->size, err) == 0 &&
        quota_settle(t, d->reg, &change, false, err) == 0)
        return 0;
    d->named = d->named && err->code != ERR_FULL;
    return -1;
}

static void
expect_commit(struct txn *t, const struct commit *c, uint64_t now)
{
    if (!kv_expects(t))
        return;
    repository_expect_enter(t, c->repository, now, &c->repo);
    tbl_blob_expect_for_update(t, &c->draft.digest);
    if (c->source != NULL)
        tbl_edge_expect(t, c->source);
}

static int
commit_blob(struct txn *t, void *arg, struct err *err)
{
    struct commit *c = arg;
    struct blob_draft *draft = &c->draft;
    uint64_t now = clock_wall_ms(), until = now + draft->reg->lease_ms;
    bool is_fresh = c->look_at >= now + draft->reg->lease_ms / 2;
    struct edge member;
    int rc = 1;

    expect_commit(t, c, now);
    if (repository_enter(t, draft->reg, c->repository, now, &c->repo, err) != 0 ||
        blob_draft_put(t, draft, until, err) != 0)
        return -1;
    if (c->source != NULL)
        rc = tbl_edge_has(t, c->source, err);
    if (rc == 0) {
        draft->gone = true;
        return err_set(err, ERR_BUSY, "a blob went while it was mounted");
    }
    member = membership(c->repo.id, &draft->digest);
    if (rc < 0 || tbl_edge_put(t, &member, err) != 0 || count_in_quota(t, c, err) != 0)
        return -1;
    /* A job that comes before the end of the lease puts another one. */
    return draft->named && !is_fresh ? lease_look_at(t, &draft->digest, until, err) : 0;
}

static int
run_commit(struct commit *c, struct err *err)
{
    struct txn *t = kv_reads(c->draft.reg->kv);
    int rc;

    repository_expect(c->draft.reg, c->repository);
    tbl_blob_expect(t, &c->draft.digest);
    rc = repository_look(c->draft.reg, c->repository, &c->repo, err);
    if (rc == 0 && announce_blob(c, err) != 0) {
        blob_draft_settle(&c->draft);
        rc = -1;
    }
    kv_expect_end(t);
    return rc == 0 ? blob_draft_commit(&c->draft, commit_blob, c, err) : -1;
}

int
blob_commit(const struct registry *reg, const char *repository, const struct digest *d, int fd,
            uint64_t size, struct err *err)
{
    struct commit c = {.draft = blob_draft_of_fd(reg, d, fd, size), .repository = repository};

    return run_commit(&c, err);
}

int
blob_commit_linked(const struct registry *reg, const char *repository, const struct digest *d,
                   int fd, uint64_t size, const struct blob_file_link *by, struct err *err)
{
    struct commit c = {.draft = blob_draft_of_fd(reg, d, fd, size), .repository = repository};

    c.draft.by = by;
    if (run_commit(&c, err) == 0)
        return 1;
    return c.draft.unlinkable ? 0 : -1;
}

/* ---- mounting ---- */

/* From any repository from which the actor may pull. */
static int
find_any_member(const struct registry *reg, const struct actor *actor, const struct digest *d,
                struct edge *member, struct err *err)
{
    struct repository_walk walk = {.to = *d, .kind = EDGE_MEMBER};
    int rc = repository_walk_next(reg, actor, &walk, err);

    *member = membership(walk.repo, d);
    return rc;
}

/* The membership that gives the right to a mount: 1, 0, -1. */
static int
find_mount_source(const struct registry *reg, const struct actor *actor, const char *from,
                  const struct digest *d, struct edge *member, struct err *err)
{
    struct rec_repo source;
    int rc;

    if (from == NULL)
        return find_any_member(reg, actor, d, member, err);
    rc = repository_find(reg, from, &source, err);
    if (rc != 1)
        return rc;
    *member = membership(source.id, d);
    return tbl_edge_has(kv_reads(reg->kv), member, err);
}

/* 1, 0 (the blob or its membership is gone), -1. */
static int
commit_stored_blob(const struct registry *reg, const char *repository, const struct edge *source,
                   const struct digest *d, struct err *err)
{
    struct commit c = {
        .draft = blob_draft_of_stored(reg, d), .repository = repository, .source = source};

    if (run_commit(&c, err) == 0)
        return 1;
    return c.draft.gone ? 0 : -1;
}

int
blob_join(const struct registry *reg, const char *repository, const struct digest *d,
          struct err *err)
{
    return commit_stored_blob(reg, repository, NULL, d, err);
}

int
blob_mount(const struct registry *reg, const struct actor *actor, const char *to, const char *from,
           const struct digest *d, struct err *err)
{
    struct edge member;
    int rc = find_mount_source(reg, actor, from, d, &member, err);

    return rc == 1 ? commit_stored_blob(reg, to, &member, d, err) : rc;
}

/* ---- deleting ---- */

struct blob_deletion {
    const struct registry *reg;
    const char *repository;
    const struct condition *condition;
    const struct actor *actor;
    const struct digest *d;
    uint64_t repo;
    bool gone;
    struct digest needed_by; /* a manifest, or DIGEST_NONE */
};

static int
copy_edge_source(const struct edge *e, void *arg, struct err *err)
{
    (void)err;
    *(struct digest *)arg = e->from;
    return 1;
}

static int
remove_member(struct txn *t, void *arg, struct err *err)
{
    struct blob_deletion *x = arg;
    struct edge member = membership(x->repo, x->d);
    struct rec_event e = event_of(EVENT_DELETE, x->repository, x->actor);
    uint64_t now = clock_wall_ms();
    int had;

    x->needed_by = (struct digest){.algo = DIGEST_NONE};
    if (lease_blob(t, x->reg, x->d, now, err) != 0 ||
        tbl_edge_each(t, x->d, EDGE_CHILD, x->repo, NULL, copy_edge_source, &x->needed_by, err) !=
            0 ||
        tbl_edge_each(t, x->d, EDGE_PART, x->repo, NULL, copy_edge_source, &x->needed_by, err) != 0)
        return -1;
    if (x->needed_by.algo != DIGEST_NONE)
        return err_set(err, ERR_IN_USE, "a manifest of repository %s needs this blob",
                       x->repository);
    had = tbl_edge_delete(t, &member, err);
    x->gone = had == 0;
    if (had != 1)
        return had;
    if (condition_check(x->condition, x->d, err) != 0 ||
        quota_discount_blob(t, x->repo, x->d, err) != 0)
        return -1;
    e.id = e.digest = *x->d;
    if (lease_look_at(t, x->d, now + x->reg->lease_ms, err) != 0)
        return -1;
    return event_tell(t, x->actor, &e, err);
}

int
blob_delete(const struct registry *reg, const char *repository, const struct digest *d,
            const struct condition *condition, const struct actor *actor, struct arena *arena,
            struct err *err)
{
    struct blob_deletion x = {
        .reg = reg, .repository = repository, .condition = condition, .actor = actor, .d = d};
    char text[DIGEST_TEXT_MAX];
    struct rec_repo repo;
    const char **about;

    if (repository_need(reg, repository, &repo, err) != 0)
        return -1;
    x.repo = repo.id;
    disk_space_give(reg->dirfd);
    if (txn_run_anyway(reg->kv, remove_member, &x, err) != 0) {
        about = err->code == ERR_IN_USE ? arena_array(arena, 1, sizeof *about) : NULL;
        if (about != NULL) {
            digest_text(text, &x.needed_by);
            about[0] = arena_strdup(arena, text);
            err->about = about;
            err->about_n = about[0] != NULL;
        }
        return -1;
    }
    if (x.gone)
        return refuse_no_blob(repository, d, err);
    repository_settle(reg, repository);
    return 0;
}
