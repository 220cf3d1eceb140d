#include "domain/retention/retain_walk.h"
#include <string.h>
#include "domain/access/access.h"
#include "domain/core/delete.h"
#include "domain/metrics/metrics.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_tag.h"
#include "util/arena.h"
#include "util/clock.h"

/* For the deletion of a tag: the document of its target. */
#define MEMORY (16u << 20)

void
retain_walk_begin(struct retain_walk *w, const struct registry *reg, const char *after)
{
    *w = (struct retain_walk){.reg = reg, .by = RETAIN_WALK_ACTOR};
    snprintf(w->batch.after, sizeof w->batch.after, "%s", after);
}

void
retain_walk_end(struct retain_walk *w)
{
    if (w->judge.rule != NULL)
        retain_judge_end(&w->judge);
}

bool
retain_walk_is_between(const struct retain_walk *w, uint64_t *last)
{
    *last = w->at > 0 ? w->batch.v[w->at - 1].id : 0;
    return w->judge.rule == NULL;
}

static const char *
name_at_work(const struct retain_walk *w)
{
    return w->batch.v[w->at].name;
}

static int
tell_retain_result(struct retain_walk *w, const struct retain_result *r, struct err *err)
{
    return w->fn != NULL ? w->fn(r, w->arg, err) : 0;
}

/* ---- a tag ---- */

static int
delete_judged(struct retain_walk *w, const struct retain_walk_tag *tag, struct retain_result *r,
              struct err *err)
{
    const struct actor actor = {.user = w->by, .address = ""};
    struct arena arena;
    int rc;

    arena_init(&arena, MEMORY);
    rc = delete_tag_seen(w->reg, r->repository, tag->name, &tag->record, &actor, &arena, err);
    arena_reset(&arena);
    if (rc == 0) {
        metrics_count(w->reg->counts, METRIC_RETENTION_DELETED, 0, 1);
        return 0;
    }
    switch (err->code) {
    case ERR_BUSY:
    case ERR_CONDITION:
    case ERR_NO_MANIFEST:
    case ERR_NO_REPOSITORY:
        r->why = RETAIN_MOVED;
        return 0;
    case ERR_NO_SPACE:
        return -1;
    default: /* the pre-hook, or a manifest that is damaged: the others have their turn */
        r->why = RETAIN_REFUSED;
        r->refusal = err->message;
        return 0;
    }
}

/* Judges the next tag of the page. *deleted: one more was deleted. */
static int
settle_tag(struct retain_walk *w, unsigned *deleted, struct err *err)
{
    const struct retain_walk_tag *tag = &w->page[w->page_at++];
    struct retain_result r = {.repository = name_at_work(w),
                              .tag = tag->name,
                              .record = &tag->record,
                              .rule = w->judge.rule};
    struct retain_judgement judgement;

    if (retain_judge_tag(&w->judge, tag->name, &tag->record, &judgement, err) != 0) {
        judgement.why = RETAIN_UNJUDGED;
        r.refusal = err->message;
    }
    r.why = judgement.why;
    if (r.why == RETAIN_MATCH)
        r.glob = retain_rules_glob(w->rules, r.rule, judgement.glob);
    if (r.why == RETAIN_GOES && !w->dry_run) {
        ++*deleted;
        if (delete_judged(w, tag, &r, err) != 0)
            return -1;
    }
    return tell_retain_result(w, &r, err);
}

/* ---- a repository ---- */

static int
add_to_tag_page(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    struct retain_walk *w = arg;
    struct retain_walk_tag *to = &w->page[w->page_n++];

    (void)err;
    snprintf(to->name, sizeof to->name, "%s", tag);
    to->record = *r;
    return w->page_n == RETAIN_WALK_PAGE;
}

static int
read_tag_page(struct retain_walk *w, struct err *err)
{
    w->page_n = w->page_at = 0;
    if (tbl_tag_each(kv_reads(w->reg->kv), w->judge.repo, w->after, add_to_tag_page, w, err) != 0)
        return -1;
    if (w->page_n > 0)
        memcpy(w->after, w->page[w->page_n - 1].name, sizeof w->after);
    return 0;
}

static void
leave_repository(struct retain_walk *w)
{
    retain_judge_end(&w->judge);
    w->at++;
}

static int
rank_page(struct retain_walk *w, struct err *err)
{
    if (read_tag_page(w, err) != 0)
        return -1;
    for (size_t i = 0; i < w->page_n; i++)
        retain_judge_rank(&w->judge, w->page[i].name, &w->page[i].record);
    if (w->page_n < RETAIN_WALK_PAGE) {
        w->ranking = false;
        w->after[0] = '\0';
    }
    w->page_n = w->page_at = RETAIN_WALK_PAGE; /* it is done, and perhaps not the last one */
    return 0;
}

static int
judge_page(struct retain_walk *w, struct err *err)
{
    unsigned deleted = 0, most = w->careful ? 1 : RETAIN_WALK_DELETES;

    if (w->page_at == w->page_n && read_tag_page(w, err) != 0)
        return -1;
    while (w->page_at < w->page_n && deleted < most)
        if (settle_tag(w, &deleted, err) != 0)
            return -1;
    if (w->page_at == w->page_n && w->page_n < RETAIN_WALK_PAGE)
        leave_repository(w);
    return 0;
}

/* ---- all of them ---- */

static int
begin_repository(struct retain_walk *w, const struct retain_rules *rules, struct err *err)
{
    const struct retain_rule *rule = retain_rules_find(rules, name_at_work(w));
    struct retain_result whole = {.repository = name_at_work(w),
                                  .tag = "",
                                  .rule = rule,
                                  .why = rule == NULL ? RETAIN_NO_RULE : RETAIN_ALL};

    if (rule == NULL || rule->all) {
        w->at++;
        return tell_retain_result(w, &whole, err);
    }
    w->rules = rules;
    w->ranking = rule->last > 0;
    w->after[0] = '\0';
    w->page_n = w->page_at = RETAIN_WALK_PAGE;
    return retain_judge_begin(&w->judge, w->reg, w->batch.v[w->at].id, rules, rule, clock_wall_ms(),
                              err);
}

int
retain_walk_step(struct retain_walk *w, const struct retain_rules *rules, struct err *err)
{
    if (w->judge.rule != NULL)
        return (w->ranking ? rank_page(w, err) : judge_page(w, err)) != 0 ? -1 : 1;
    if (w->at == w->batch.n) {
        if (w->began && w->batch.n < REPOSITORY_BATCH)
            return 0;
        w->began = true;
        w->at = 0;
        return repository_next(w->reg, &w->batch, err) != 0 ? -1 : 1;
    }
    return begin_repository(w, rules, err) != 0 ? -1 : 1;
}

void
retain_walk_why(char out[RETAIN_WALK_WHY_MAX], const struct retain_result *r)
{
    static const char *const words[] = {
        [RETAIN_GOES] = "no clause keeps it",
        [RETAIN_ALL] = "all",
        [RETAIN_LAST] = "last",
        [RETAIN_YOUNGER] = "younger",
        [RETAIN_MATCH] = "match",
        [RETAIN_PULLED] = "pulled",
        [RETAIN_IMMUTABLE] = "immutable",
        [RETAIN_SIGNATURE] = "belongs to an image that stays",
        [RETAIN_NEW_SIGNATURE] = "its image may come soon",
        [RETAIN_MOVED] = "changed meanwhile",
        [RETAIN_REFUSED] = "could not be deleted",
        [RETAIN_UNJUDGED] = "could not be judged",
    };

    if (r->rule == NULL)
        snprintf(out, RETAIN_WALK_WHY_MAX, "no rule");
    else if (r->why == RETAIN_MATCH)
        snprintf(out, RETAIN_WALK_WHY_MAX, "line %u: match %s", r->rule->line, r->glob);
    else if (r->why == RETAIN_LAST)
        snprintf(out, RETAIN_WALK_WHY_MAX, "line %u: last %llu", r->rule->line,
                 (unsigned long long)r->rule->last);
    else if (r->why == RETAIN_REFUSED || r->why == RETAIN_UNJUDGED)
        snprintf(out, RETAIN_WALK_WHY_MAX, "line %u: %s: %s", r->rule->line, words[r->why],
                 r->refusal);
    else
        snprintf(out, RETAIN_WALK_WHY_MAX, "line %u: %s", r->rule->line, words[r->why]);
}
