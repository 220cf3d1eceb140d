#include "domain/retention/retain_round.h"
#include <stdlib.h>
#include <string.h>
#include "domain/core/repository.h"
#include "domain/events/hook.h"
#include "domain/events/prehook.h"
#include "domain/retention/last_pull.h"
#include "domain/retention/retain_walk.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_meta.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/mem.h"

/* Work in one step; the pause after it is as long. */
#define STEP_MS 100
/* How often the position is written. */
#define MARK_MS 1000
/* Tags that could not be deleted and are logged in one round. */
#define COMPLAINTS_MAX 10

struct retain_round {
    struct registry reg;
    struct retain_rules rules;
    struct stat seen;
    bool has_rules;
    struct retain_walk walk;
    bool running;
    uint64_t marked_ms; /* clock_mono_ms() */
    uint64_t deleted, refused;
};

struct retain_round *
retain_round_new(const struct registry *reg)
{
    struct retain_round *r = mem_alloc(sizeof *r);

    *r = (struct retain_round){.reg = *reg};
    return r;
}

void
retain_round_free(struct retain_round *r)
{
    if (r->running)
        retain_walk_end(&r->walk);
    retain_rules_free(&r->rules);
    free(r);
}

/* ---- the rules ---- */

/* Reads them if they have changed. The master has checked them. */
static int
follow_rules(struct retain_round *r, struct err *err)
{
    struct stat now;
    struct buf text;
    int rc;

    fdio_look(r->reg.dirfd, RETAIN_ROUND_RULES, &now);
    if (fdio_same_file(&now, &r->seen))
        return 0;
    buf_init(&text, RETAIN_RULES_BYTES);
    rc = fdio_read_file(r->reg.dirfd, RETAIN_ROUND_RULES, &text, err);
    if (rc >= 0) {
        retain_rules_free(&r->rules);
        r->has_rules = rc == 1;
        if (retain_rules_parse(&r->rules, buf_bytes(&text), RETAIN_ROUND_RULES, err) != 0) {
            r->has_rules = false;
            rc = -1;
        }
        r->seen = now;
    }
    buf_free(&text);
    return rc < 0 ? -1 : 0;
}

/* ---- the mark in the store ---- */

struct retain_mark {
    uint64_t began, at, ended;
};

static int
put_retain_mark(struct txn *t, void *arg, struct err *err)
{
    const struct retain_mark *m = arg;

    kv_relax(t);
    if (m->began != 0 && tbl_meta_put(t, META_RETAIN_BEGAN, m->began, err) != 0)
        return -1;
    if (m->ended != 0 && tbl_meta_put(t, META_RETAIN_ENDED, m->ended, err) != 0)
        return -1;
    return tbl_meta_put(t, META_RETAIN_AT, m->at, err);
}

/* began 0: as before. at 0: the round has ended. */
static int
mark_round(struct retain_round *r, uint64_t began, uint64_t at, struct err *err)
{
    struct retain_mark m = {began, at, at == 0 ? clock_wall_ms() : 0};

    r->marked_ms = clock_mono_ms();
    return txn_run(r->reg.kv, put_retain_mark, &m, err);
}

static int
read_mark(const struct retain_round *r, struct retain_mark *m, struct err *err)
{
    struct txn *t = kv_reads(r->reg.kv);

    *m = (struct retain_mark){0};
    return tbl_meta_get(t, META_RETAIN_BEGAN, &m->began, err) < 0 ||
                   tbl_meta_get(t, META_RETAIN_AT, &m->at, err) < 0
               ? -1
               : 0;
}

/* ---- a round ---- */

static int
note_retain_result(const struct retain_result *result, void *arg, struct err *err)
{
    struct retain_round *r = arg;
    char why[RETAIN_WALK_WHY_MAX];

    (void)err;
    r->deleted += result->why == RETAIN_GOES;
    if ((result->why != RETAIN_REFUSED && result->why != RETAIN_UNJUDGED) ||
        ++r->refused > COMPLAINTS_MAX)
        return 0;
    retain_walk_why(why, result);
    log_line(LOG_WARN, "retention leaves a tag", "repository=%s tag=%s why=%s", result->repository,
             result->tag, why);
    return 0;
}

static bool
is_round_due(const struct retain_round *r, const struct retain_mark *m)
{
    uint64_t every = r->reg.retain_every_ms, now = clock_wall_ms();
    uint64_t patience = every < RETAIN_ROUND_PATIENCE_MS ? every : RETAIN_ROUND_PATIENCE_MS;
    uint64_t changed = (uint64_t)r->seen.st_mtim.tv_sec * 1000;

    if (now >= changed && now - changed < patience)
        return false;
    return m->at != 0 || m->began > now || now - m->began >= every;
}

/* 1: a round is at work; 0, -1. */
static int
begin_round(struct retain_round *r, struct err *err)
{
    char after[RECORD_REPOSITORY_MAX + 1] = "";
    struct retain_mark m;

    if (read_mark(r, &m, err) != 0)
        return -1;
    if (!is_round_due(r, &m))
        return 0;
    /* The repository may have gone since; then all come again, which does no harm. */
    if (m.at != 0 && m.at != META_RETAIN_BEGINNING &&
        repository_name(&r->reg, m.at, after, err) < 0)
        return -1;
    if (m.at == 0 && mark_round(r, clock_wall_ms(), META_RETAIN_BEGINNING, err) != 0)
        return -1;
    retain_walk_begin(&r->walk, &r->reg, after);
    r->walk.fn = note_retain_result;
    r->walk.arg = r;
    r->running = true;
    r->deleted = r->refused = 0;
    return 1;
}

static int
finish_round(struct retain_round *r, struct err *err)
{
    retain_walk_end(&r->walk);
    r->running = false;
    log_line(LOG_INFO, "retention has looked at all repositories", "deleted=%llu refused=%llu",
             (unsigned long long)r->deleted, (unsigned long long)r->refused);
    return mark_round(r, 0, 0, err);
}

/* One step of the walk; the rules are only changed between two repositories. 1, 0 (the end), -1. */
static int
walk_on(struct retain_round *r, struct err *err)
{
    uint64_t last;

    if (retain_walk_is_between(&r->walk, &last)) {
        if (last != 0 && clock_mono_ms() >= r->marked_ms + MARK_MS &&
            mark_round(r, 0, last, err) != 0)
            return -1;
        if (follow_rules(r, err) != 0)
            return -1;
        if (!r->has_rules)
            return 0;
    }
    return retain_walk_step(&r->walk, &r->rules, err);
}

static int
work_on_round(struct retain_round *r, struct err *err)
{
    uint64_t began = clock_mono_ms();
    struct err ignored;
    int rc;

    r->walk.careful = prehook_find(&r->reg, HOOK_PRE_DELETE, &ignored) != 0;
    if (last_pull_flush(&r->reg, err) != 0)
        return -1;
    do
        rc = walk_on(r, err);
    while (rc == 1 && clock_mono_ms() - began < STEP_MS);
    return rc;
}

int
retain_round_step(struct retain_round *r, uint64_t *again_ms, struct err *err)
{
    uint64_t began = clock_mono_ms();
    int rc = r->running ? 1 : follow_rules(r, err);

    *again_ms = 0;
    if (rc == 0 && r->has_rules)
        rc = begin_round(r, err);
    if (rc == 1)
        rc = work_on_round(r, err);
    else
        return rc;
    if (rc == 1)
        *again_ms = 2 * clock_mono_ms() - began;
    if (rc == 0)
        rc = finish_round(r, err);
    if (rc < 0 && r->running) { /* it goes on from the mark */
        retain_walk_end(&r->walk);
        r->running = false;
    }
    return rc < 0 ? -1 : 0;
}
