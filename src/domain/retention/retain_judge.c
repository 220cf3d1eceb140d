#include "domain/retention/retain_judge.h"
#include <stdlib.h>
#include <string.h>
#include "domain/access/immutable.h"
#include "domain/core/repository.h"
#include "domain/retention/last_pull.h"
#include "domain/retention/retain_image.h"
#include "util/mem.h"

int
retain_judge_begin(struct retain_judge *j, const struct registry *reg, uint64_t repo,
                   const struct retain_rules *rules, const struct retain_rule *rule, uint64_t now,
                   struct err *err)
{
    *j = (struct retain_judge){.reg = reg, .repo = repo, .rules = rules, .rule = rule, .now = now};
    if (reg->immutable_n > 0 && repository_name(reg, repo, j->repository, err) < 0)
        return -1;
    if (rule->globs_n == 0)
        return 0;
    j->globs = mem_array(rule->globs_n, sizeof *j->globs);
    for (size_t i = 0; i < rule->globs_n; i++)
        if (glob_compile(&j->globs[i], bytes_str(retain_rules_glob(rules, rule, i)), err) != 0)
            return -1;
    return 0;
}

void
retain_judge_end(struct retain_judge *j)
{
    free(j->globs);
    free(j->newest);
    *j = (struct retain_judge){.rule = NULL};
}

/* ---- the last N ---- */

/* By the time of the push; of two with the same time the greater name counts as newer. */
static bool
is_older(const struct retain_newest *a, const struct retain_newest *b)
{
    return a->updated != b->updated ? a->updated < b->updated : strcmp(a->tag, b->tag) < 0;
}

static void
swap_newest(struct retain_newest *a, struct retain_newest *b)
{
    struct retain_newest c = *a;

    *a = *b;
    *b = c;
}

static void
sink_first(struct retain_newest *v, size_t n)
{
    for (size_t at = 0, child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && is_older(&v[child + 1], &v[child]))
            child++;
        if (!is_older(&v[child], &v[at]))
            return;
        swap_newest(&v[child], &v[at]);
    }
}

static void
raise_last(struct retain_newest *v, size_t n)
{
    for (size_t at = n - 1; at > 0 && is_older(&v[at], &v[(at - 1) / 2]); at = (at - 1) / 2)
        swap_newest(&v[at], &v[(at - 1) / 2]);
}

static struct retain_newest
newest_of(const char *tag, const struct rec_tag *r)
{
    struct retain_newest one = {.updated = r->updated};

    snprintf(one.tag, sizeof one.tag, "%s", tag);
    return one;
}

void
retain_judge_rank(struct retain_judge *j, const char *tag, const struct rec_tag *r)
{
    struct retain_newest one = newest_of(tag, r);
    struct digest ignored;

    if (retain_image_signed(tag, &ignored))
        return;
    if (j->newest_n < j->rule->last) {
        j->newest = mem_grow(j->newest, &j->room, j->newest_n + 1, sizeof *j->newest);
        j->newest[j->newest_n++] = one;
        raise_last(j->newest, j->newest_n);
    } else if (is_older(&j->newest[0], &one)) {
        j->newest[0] = one;
        sink_first(j->newest, j->newest_n);
    }
}

static bool
is_among_last(const struct retain_judge *j, const char *tag, const struct rec_tag *r)
{
    struct retain_newest one = newest_of(tag, r);

    if (j->rule->last == 0)
        return false;
    return j->newest_n < j->rule->last || !is_older(&one, &j->newest[0]);
}

/* ---- the other clauses ---- */

static bool
is_within(const struct retain_judge *j, uint64_t time, uint64_t ms)
{
    return ms > 0 && (ms >= j->now || time >= j->now - ms);
}

static bool
is_matched(const struct retain_judge *j, const char *tag, size_t *which)
{
    for (*which = 0; *which < j->rule->globs_n; ++*which)
        if (glob_match(&j->globs[*which], bytes_str(tag)))
            return true;
    return false;
}

/* Of a tag that is no signature. */
static int
judge_by_clauses(const struct retain_judge *j, const char *tag, const struct rec_tag *r,
                 struct retain_judgement *out, struct err *err)
{
    const struct retain_rule *rule = j->rule;
    uint64_t pulled;

    out->why = RETAIN_GOES;
    if (immutable_find(j->reg, j->repository, tag) != NULL)
        out->why = RETAIN_IMMUTABLE;
    else if (is_among_last(j, tag, r))
        out->why = RETAIN_LAST;
    else if (is_within(j, r->updated, rule->younger_ms))
        out->why = RETAIN_YOUNGER;
    else if (is_matched(j, tag, &out->glob))
        out->why = RETAIN_MATCH;
    else if (is_within(j, r->updated, rule->pulled_ms))
        out->why = RETAIN_PULLED;
    if (out->why != RETAIN_GOES || rule->pulled_ms == 0)
        return 0;
    if (last_pull_find(j->reg, j->repo, tag, r, &pulled, err) != 0)
        return -1;
    if (is_within(j, pulled, rule->pulled_ms))
        out->why = RETAIN_PULLED;
    return 0;
}

/* For retain_image_stays: 1, 0, -1. */
static int
stays_by_clauses(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    struct retain_judgement judgement;
    int rc = judge_by_clauses(arg, tag, r, &judgement, err);

    return rc != 0 ? -1 : judgement.why != RETAIN_GOES;
}

int
retain_judge_tag(const struct retain_judge *j, const char *tag, const struct rec_tag *r,
                 struct retain_judgement *out, struct err *err)
{
    struct retain_judge copy = *j;
    struct digest image;
    int rc;

    *out = (struct retain_judgement){.why = RETAIN_GOES};
    if (!retain_image_signed(tag, &image))
        return judge_by_clauses(j, tag, r, out, err);
    rc = retain_image_stays(j->reg, j->repo, &image, stays_by_clauses, &copy, err);
    if (rc < 0)
        return -1;
    if (immutable_find(j->reg, j->repository, tag) != NULL)
        out->why = RETAIN_IMMUTABLE;
    else if (rc == 1)
        out->why = RETAIN_SIGNATURE;
    else if (is_within(j, r->updated, j->reg->lease_ms))
        out->why = RETAIN_NEW_SIGNATURE;
    return 0;
}
