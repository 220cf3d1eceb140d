#include "domain/check/check_history.h"
#include "domain/core/history.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_trash.h"
#include "util/clock.h"

/* A second look finds out what was changed meanwhile. */
#define PAUSE_MS 100
/* A deleted manifest is looked at within this time of the last thing that needed it. */
#define LATE_MS 60000

static int
note_any_history(const struct edge *e, void *arg, struct err *err)
{
    (void)e;
    (void)err;
    *(bool *)arg = true;
    return 1;
}

/* Is a manifest in the trash kept there by something that has a job of its own? 1, 0, -1. */
static int
is_named_in_trash(struct txn *t, uint64_t repo, const struct digest *d, struct err *err)
{
    bool named = false;

    if (tbl_edge_each(t, d, EDGE_HISTORY, repo, NULL, note_any_history, &named, err) != 0 ||
        (!named &&
         tbl_edge_each(t, d, EDGE_TRASH_PART, repo, NULL, note_any_history, &named, err) != 0))
        return -1;
    return named;
}

int
check_history_note(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct check_history *h;
    bool trashed = e->table == TABLE_TRASH;
    int rc = trashed ? is_named_in_trash(t, e->repo, &e->digest, err) : 0;

    if (rc == 0 && c->histories_n == CHECK_HISTORIES_MAX && check_history_judge(c, err) != 0)
        return -1;
    if (rc < 0)
        return -1;
    if (rc == 1)
        return 1;
    h = &c->histories[c->histories_n++];
    h->digest = e->digest;
    h->repo = e->repo;
    h->until = trashed ? e->r.trash.until : e->edge.until;
    snprintf(h->tag, sizeof h->tag, "%s", trashed ? "" : e->text);
    h->trashed = trashed;
    h->has_job = false;
    return 1;
}

static int
compare_histories(const void *a, const void *b)
{
    const struct check_history *x = a, *y = b;

    return digest_compare(&x->digest, &y->digest);
}

static struct check_history *
find_first_history(struct check *c, const struct digest *d)
{
    size_t low = 0, high = c->histories_n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (digest_compare(&c->histories[middle].digest, d) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return &c->histories[low];
}

/* A job that comes before the end of an edge doesn't remove it. */
static int
mark_job_of_history(const struct job *j, const struct rec_job *r, void *arg, struct err *err)
{
    struct check *c = arg;
    struct check_history *end = c->histories + c->histories_n;

    (void)r;
    (void)err;
    for (struct check_history *h = find_first_history(c, &j->digest);
         h < end && digest_equal(&h->digest, &j->digest); h++)
        h->has_job = h->has_job || j->due >= h->until || h->trashed;
    return 0;
}

static int
look_for_jobs(struct check *c, struct err *err)
{
    if (c->histories_n == 0)
        return 0;
    qsort(c->histories, c->histories_n, sizeof *c->histories, compare_histories);
    return tbl_job_each(kv_reads(c->reg->kv), JOB_HISTORY, mark_job_of_history, c, err);
}

struct lost_history {
    const struct check *c;
    const struct check_history *h;
    bool is_lost;
};

static int
look_for_lost_history(struct txn *t, void *arg, struct err *err)
{
    struct lost_history *x = arg;
    const struct check_history *h = x->h;
    struct edge e = {.to = h->digest, .kind = EDGE_HISTORY, .repo = h->repo, .tag = h->tag};
    struct rec_trash trash;
    int rc, named = 0;

    x->is_lost = false;
    e.until = h->until;
    rc = h->trashed ? tbl_trash_get(t, h->repo, &h->digest, &trash, err) : tbl_edge_has(t, &e, err);
    if (rc == 1 && h->trashed)
        named = is_named_in_trash(t, h->repo, &h->digest, err);
    if (rc != 1 || named != 0)
        return rc < 0 || named < 0 ? -1 : 0;
    x->is_lost = true;
    return x->c->repair ? history_look_at(t, x->c->reg, &h->digest, h->until, err) : 0;
}

static int
report_lost_history(struct check *c, const struct check_history *h, struct err *err)
{
    struct lost_history x = {.c = c, .h = h};
    char text[DIGEST_TEXT_MAX], repo[RECORD_REPOSITORY_MAX + 1], what[2 * CHECK_WHAT_MAX];

    /* Its job may be running. */
    if (!c->alone && h->until + LATE_MS > clock_wall_ms() && h->until < clock_wall_ms() + LATE_MS)
        return 0;
    if (txn_run_anyway(c->reg->kv, look_for_lost_history, &x, err) != 0)
        return -1;
    if (!x.is_lost)
        return 0;
    digest_text(text, &h->digest);
    check_entry_repo(c, h->repo, repo);
    snprintf(what, sizeof what, "%s@%s%s%s", repo, text, h->trashed ? "" : " history of ", h->tag);
    check_report(c, &(struct check_finding){CHECK_HISTORY_KIND, what,
                                            "a job ends what the history of a tag keeps",
                                            "no job ends it, and it would be kept for ever",
                                            "the job is added", c->repair});
    return 0;
}

int
check_history_judge(struct check *c, struct err *err)
{
    int rc = look_for_jobs(c, err);
    bool lacks = false;

    for (size_t i = 0; i < c->histories_n; i++)
        lacks = lacks || !c->histories[i].has_job;
    if (rc == 0 && lacks) {
        clock_sleep_ms(PAUSE_MS);
        rc = look_for_jobs(c, err);
    }
    for (size_t i = 0; rc == 0 && i < c->histories_n; i++)
        if (!c->histories[i].has_job)
            rc = report_lost_history(c, &c->histories[i], err);
    c->histories_n = 0;
    return rc;
}
