#include "domain/core/tag_move.h"
#include "domain/access/immutable.h"
#include "domain/core/count_limit.h"
#include "domain/core/derived.h"
#include "domain/core/foreign_images.h"
#include "domain/core/history.h"
#include "domain/core/lease.h"
#include "domain/events/prehook.h"
#include "domain/events/event.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_tag_log.h"
#include "util/clock.h"

/* ---- before the transaction ---- */

static int
ask_about_tag(struct tag_move *m, struct tag_move_tag *tag, struct err *err)
{
    struct digest names = {.algo = DIGEST_NONE};
    struct rec_event e = *m->told;
    struct rec_tag r;
    int rc = tbl_tag_get(kv_reads(m->reg->kv), m->repo, tag->name, &r, err);

    if (rc < 0)
        return -1;
    if (rc == 1)
        names = r.target;
    if (condition_check(m->condition, &names, err) != 0)
        return -1;
    if (tag->expects && digest_equal(&tag->expected, &names)) /* the hook has agreed to that */
        return 0;
    e.old = names;
    snprintf(e.tag, sizeof e.tag, "%s", tag->name);
    if (prehook_ask(m->reg, HOOK_PRE_TAG, &e, m->document, m->arena, err) != 0)
        return -1;
    tag->expects = true;
    tag->expected = names;
    return 0;
}

/* The transaction asks again. */
static int
check_immutable_tag(const struct tag_move *m, const char *tag, struct err *err)
{
    struct rec_tag r;
    int rc;

    if (immutable_find(m->reg, m->repository, tag) == NULL)
        return 0;
    rc = tbl_tag_get(kv_reads(m->reg->kv), m->repo, tag, &r, err);
    if (rc == 1 && !digest_equal(&r.target, &m->to))
        rc = immutable_check(m->reg, m->actor, m->repository, tag, &r.target, err);
    return rc < 0 ? -1 : 0;
}

int
tag_move_ask(struct tag_move *m, struct err *err)
{
    bool ask = m->n > 0 && !m->actor->quiet;
    int rc;

    for (size_t i = 0; i < m->n; i++)
        if (check_immutable_tag(m, m->tags[i].name, err) != 0)
            return -1;
    rc = ask ? prehook_find(m->reg, HOOK_PRE_TAG, err) : 0;
    for (size_t i = 0; i < m->n && rc >= 0; i++) {
        if (rc == 0)
            m->tags[i].expects = false;
        else if (ask_about_tag(m, &m->tags[i], err) != 0)
            rc = -1;
    }
    m->asked = rc >= 0;
    m->stale = false;
    return rc < 0 ? -1 : 0;
}

int
tag_move_run(struct tag_move *m, int (*fn)(struct txn *t, void *arg, struct err *err), void *arg,
             struct err *err)
{
    int rc = -1;

    for (int i = 0; i < PREHOOK_JUDGEMENTS_MAX && (i == 0 || m->stale); i++) {
        if ((!m->asked || m->stale) && tag_move_ask(m, err) != 0)
            return -1;
        rc = txn_run(m->reg->kv, fn, arg, err);
    }
    return rc;
}

/* ---- the records ---- */

static bool
is_named(const struct digest *d)
{
    return d->algo != DIGEST_NONE;
}

/* The right is asked here, because only the transaction knows whether the tag is new. Deletions
 * have been asked about before (VERB_DELETE). */
static int
check_tag_right(const struct tag_move *m, const struct tag_move_tag *tag, struct err *err)
{
    enum right needed = tag->is_new ? RIGHT_CREATE : RIGHT_OVERWRITE;

    if (!tag->moves || m->told == NULL ||
        (access_rights(m->reg, m->actor, m->told->repository) & needed) != 0)
        return 0;
    return tag->is_new
               ? err_set(err, ERR_DENIED, "the access rules don't let you add the tag %s",
                         tag->name)
               : err_set(err, ERR_DENIED,
                         "tag %s exists, and the access rules don't let you move it", tag->name);
}

static int
write_tag_record(struct txn *t, struct tag_move *m, struct tag_move_tag *tag, struct err *err)
{
    struct rec_tag r = {.target = {.algo = DIGEST_NONE}};
    int rc = tbl_tag_get_for_update(t, m->repo, tag->name, &r, err);

    if (rc < 0)
        return -1;
    tag->is_new = rc == 0;
    tag->old = r.target;
    tag->old_derived = r.derived;
    tag->moves = !digest_equal(&tag->old, &m->to);
    if (condition_check(m->condition, &tag->old, err) != 0)
        return -1;
    if (tag->pushed != 0 && r.updated != tag->pushed)
        return err_set(err, ERR_CONDITION, "tag %s was pushed again", tag->name);
    if (tag->expects && !digest_equal(&tag->old, &tag->expected)) {
        tag->moves = false;
        m->stale = !m->silent;
        return m->silent ? 0 : err_set(err, ERR_BUSY, "tag %s moved at the same time", tag->name);
    }
    if (tag->moves && !m->silent && is_named(&tag->old) &&
        immutable_check(m->reg, m->actor, m->repository, tag->name, &tag->old, err) != 0)
        return -1;
    if (!is_named(&m->to))
        return tbl_tag_drop(t, m->repo, tag->name, err);
    if (check_tag_right(m, tag, err) != 0)
        return -1;
    r.target = m->to;
    r.derived = m->to_derived;
    if (!m->silent) {
        r.updated = m->now;
        snprintf(r.by, sizeof r.by, "%s", m->actor->user);
    }
    return tbl_tag_put(t, m->repo, tag->name, &r, err);
}

static int
count_tag(struct txn *t, const struct tag_move *m, const struct tag_move_tag *tag, struct err *err)
{
    if (!tag->moves)
        return 0;
    if (!is_named(&m->to))
        return count_limit_drop_tag(t, m->repo, err);
    return tag->is_new ? count_limit_add_tag(t, m->reg, m->repo, err) : 0;
}

struct shared_edge {
    const struct rec_tag_log *forgotten;
    bool found;
};

static int
look_for_same_edge(uint64_t seq, const struct rec_tag_log *r, void *arg, struct err *err)
{
    struct shared_edge *x = arg;

    (void)seq;
    (void)err;
    x->found = r->time == x->forgotten->time && digest_equal(&r->before, &x->forgotten->before);
    return x->found;
}

static int
log_tag(struct txn *t, const struct tag_move *m, struct tag_move_tag *tag, struct err *err)
{
    struct rec_tag_log entry = {.before = tag->old, .after = m->to, .time = m->now}, old;
    struct shared_edge shared = {.forgotten = &old};

    tag->forgotten.algo = DIGEST_NONE;
    if (!tag->moves || m->silent)
        return 0;
    snprintf(entry.by, sizeof entry.by, "%s", m->actor->user);
    if (tbl_tag_log_add(t, m->repo, tag->name, &entry, &old, err) != 0)
        return -1;
    if (!is_named(&old.before))
        return 0;
    /* Moves of one millisecond away from the same target have one edge. */
    if (tbl_tag_log_each(t, m->repo, tag->name, look_for_same_edge, &shared, err) != 0)
        return -1;
    if (shared.found)
        return 0;
    tag->forgotten = old.before;
    tag->forgotten_time = old.time;
    return 0;
}

static bool
loses_foreign_image(const struct tag_move *m, const struct tag_move_tag *tag)
{
    return tag->moves && !m->silent && tag->old.algo == DIGEST_V1_ID;
}

static int
lease_old_target(struct txn *t, const struct tag_move *m, const struct tag_move_tag *tag,
                 struct err *err)
{
    if (!loses_foreign_image(m, tag))
        return 0;
    return m->reg->foreign->lease(t, m->reg, &tag->old, m->now, err);
}

static bool
leaves_manifest(const struct tag_move *m, const struct tag_move_tag *tag)
{
    return tag->moves && !m->silent && !m->target_goes && is_named(&tag->old) &&
           tag->old.algo != DIGEST_V1_ID;
}

static void
expect_leaving(struct txn *t, const struct tag_move *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (leaves_manifest(m, &m->tags[i]))
            tbl_manifest_expect_for_update(t, m->repo, &m->tags[i].old);
}

/* A manifest that no tag names any more is collected some time after its last one left. */
static int
note_leaving(struct txn *t, const struct tag_move *m, const struct tag_move_tag *tag,
             struct err *err)
{
    struct rec_manifest r;
    int rc;

    if (!leaves_manifest(m, tag))
        return 0;
    rc = tbl_manifest_get_for_update(t, m->repo, &tag->old, &r, err);
    if (rc != 1)
        return rc;
    r.untagged = m->now;
    return tbl_manifest_put(t, m->repo, &tag->old, &r, err);
}

void
tag_move_expect(struct txn *t, const struct tag_move *m)
{
    for (size_t i = 0; i < m->n; i++) {
        tbl_tag_expect_for_update(t, m->repo, m->tags[i].name);
        if (!m->silent)
            tbl_tag_log_expect_add(t, m->repo, m->tags[i].name);
    }
}

int
tag_move_records(struct txn *t, struct tag_move *m, struct err *err)
{
    m->stale = false;
    m->now = clock_wall_ms();
    for (size_t i = 0; i < m->n; i++)
        if (write_tag_record(t, m, &m->tags[i], err) != 0)
            return -1;
    expect_leaving(t, m);
    for (size_t i = 0; i < m->n; i++)
        if (count_tag(t, m, &m->tags[i], err) != 0)
            return -1;
    for (size_t i = 0; i < m->n; i++)
        if (log_tag(t, m, &m->tags[i], err) != 0)
            return -1;
    for (size_t i = 0; i < m->n; i++)
        if (lease_old_target(t, m, &m->tags[i], err) != 0)
            return -1;
    for (size_t i = 0; i < m->n; i++)
        if (note_leaving(t, m, &m->tags[i], err) != 0)
            return -1;
    return 0;
}

/* ---- the edges, and the jobs ---- */

/* From now on the history keeps the former target, and no longer keeps the targets that it has just
 * forgotten. */
static void
keep_old_target(const struct tag_move *m, const struct tag_move_tag *tag, struct edge_batch *edges)
{
    struct edge e = {.kind = EDGE_HISTORY, .repo = m->repo, .tag = tag->name};

    if (!tag->moves || m->silent || m->reg->history_keep_ms == 0)
        return;
    e.to = tag->old;
    e.until = history_until(m->reg, m->now);
    if (is_named(&e.to))
        edge_batch_put(edges, e);
    e.to = tag->forgotten;
    e.until = history_until(m->reg, tag->forgotten_time);
    if (!is_named(&e.to) || e.until <= m->now)
        return;
    edge_batch_delete(edges, e);
    e.until = m->now;
    edge_batch_put(edges, e);
}

static int
look_at_history(struct txn *t, const struct tag_move *m, const struct tag_move_tag *tag,
                struct err *err)
{
    if (!tag->moves || m->silent || m->reg->history_keep_ms == 0)
        return 0;
    if (is_named(&tag->old) &&
        history_look_at(t, m->reg, &tag->old, history_until(m->reg, m->now), err) != 0)
        return -1;
    return is_named(&tag->forgotten) ? history_look_now(t, &tag->forgotten, m->now, err) : 0;
}

/* The old target may have lost the last edge that kept it. */
static int
look_at_old_target(struct txn *t, const struct tag_move *m, const struct tag_move_tag *tag,
                   struct err *err)
{
    if (loses_foreign_image(m, tag))
        return lease_look_at(t, &tag->old, m->now + m->reg->lease_ms, err);
    if (tag->moves && tag->old_derived && !m->target_goes)
        return derived_look_at(t, m->repo, &tag->old, m->now, err);
    return 0;
}

int
tag_move_edges(struct txn *t, struct tag_move *m, struct edge_batch *edges, struct err *err)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct tag_move_tag *tag = &m->tags[i];
        struct edge e = {.kind = EDGE_TAG, .repo = m->repo, .tag = tag->name};

        e.to = tag->old;
        if (tag->moves && is_named(&tag->old))
            edge_batch_delete(edges, e);
        e.to = m->to;
        if (tag->moves && is_named(&m->to))
            edge_batch_put(edges, e);
        keep_old_target(m, tag, edges);
    }
    if (edge_batch_write(t, edges, err) != 0)
        return -1;
    for (size_t i = 0; i < m->n; i++)
        if (look_at_old_target(t, m, &m->tags[i], err) != 0 ||
            look_at_history(t, m, &m->tags[i], err) != 0)
            return -1;
    return 0;
}

/* ---- the events ---- */

int
tag_move_events(struct txn *t, struct tag_move *m, const struct rec_event *e, struct err *err)
{
    struct rec_event event = *e;

    if (m->silent)
        return 0;
    for (size_t i = 0; i < m->n; i++) {
        if (event.type == EVENT_TAG)
            event.old = m->tags[i].old;
        snprintf(event.tag, sizeof event.tag, "%s", m->tags[i].name);
        if (event_tell(t, m->actor, &event, err) != 0)
            return -1;
    }
    return 0;
}
