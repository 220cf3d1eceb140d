#include "domain/core/garbage_history.h"
#include "domain/core/reach.h"
#include "domain/core/repository.h"
#include "domain/core/trash.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_trash.h"

/* Records that are read at once. */
#define PAGE 200
/* Of the deleted manifests that need a blob, the number whose ends are looked up. */
#define SOURCES_MAX 100

/* *until: when the keeper removes it; 0: not known. */
static int
find_end(const struct registry *reg, uint64_t repo, const struct digest *d, uint64_t *until,
         struct err *err)
{
    int rc = trash_until(reg, repo, d, until, err);

    if (*until != 0)
        *until = reach_end_of_history(reg, *until);
    return rc;
}

/* ---- manifests ---- */

struct trash_page {
    struct trashed_manifest {
        uint64_t repo;
        struct digest digest;
        uint64_t size;
    } v[PAGE];
    size_t n;
};

static int
add_trash_to_page(uint64_t repo, const struct digest *d, const struct rec_trash *r, void *arg,
                  struct err *err)
{
    struct trash_page *p = arg;

    (void)err;
    p->v[p->n].repo = repo;
    p->v[p->n].digest = *d;
    p->v[p->n].size = r->manifest.size;
    return ++p->n == PAGE;
}

/* Not of one that was pushed again. 1: that is enough; 0; -1. */
static int
tell_trashed(const struct registry *reg, const struct trashed_manifest *m,
             bool (*fn)(const struct garbage_history_item *item, void *arg), void *arg,
             struct err *err)
{
    struct garbage_history_item item = {.digest = &m->digest, .size = m->size};
    char name[RECORD_REPOSITORY_MAX + 1];
    struct rec_manifest again;
    int rc = tbl_manifest_get(kv_reads(reg->kv), m->repo, &m->digest, &again, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    item.repository = name;
    rc = repository_name(reg, m->repo, name, err);
    if (rc < 0 || find_end(reg, m->repo, &m->digest, &item.until, err) != 0)
        return -1;
    return rc == 1 && item.until != 0 ? fn(&item, arg) : 0;
}

int
garbage_history_each(const struct registry *reg,
                     bool (*fn)(const struct garbage_history_item *item, void *arg), void *arg,
                     uint64_t *n, struct err *err)
{
    struct trash_page p = {.n = PAGE};
    struct trashed_manifest after = {.digest = {.algo = DIGEST_NONE}};
    int rc = 0;

    for (*n = 0; p.n == PAGE && rc == 0; *n += p.n) {
        p.n = 0;
        if (tbl_trash_scan(kv_reads(reg->kv), after.repo, &after.digest, add_trash_to_page, &p,
                           err) != 0)
            return -1;
        for (size_t i = 0; i < p.n && rc == 0; i++)
            rc = tell_trashed(reg, &p.v[i], fn, arg, err);
        if (p.n > 0)
            after = p.v[p.n - 1];
    }
    return rc < 0 ? -1 : 0;
}

/* ---- blobs ---- */

struct source_search {
    const struct gone_set *gone;
    struct {
        uint64_t repo;
        struct digest digest;
    } v[SOURCES_MAX];
    size_t n;
    bool is_kept; /* by something else, whose edges come first */
};

static int
note_source(const struct edge *e, void *arg, struct err *err)
{
    struct source_search *s = arg;
    const struct digest *source = e->from.algo != DIGEST_NONE ? &e->from : &e->to;

    (void)err;
    if (e->kind >= EDGE_KEEPS_END)
        return 1;
    if (e->kind == EDGE_TRASH_PART) {
        s->v[s->n].repo = e->repo;
        s->v[s->n].digest = e->from;
        return ++s->n == SOURCES_MAX;
    }
    s->is_kept = e->kind == EDGE_HISTORY || e->kind == EDGE_TRASHED ||
                 !gone_set_has(s->gone, e->repo, source);
    return s->is_kept;
}

int
garbage_history_keeps(const struct registry *reg, const struct gone_set *gone,
                      const struct digest *d, uint64_t *until, struct err *err)
{
    struct source_search s = {.gone = gone};
    uint64_t end;

    *until = 0;
    if (tbl_edge_each_behind(kv_reads(reg->kv), d, NULL, note_source, &s, err) != 0)
        return -1;
    for (size_t i = 0; i < s.n && !s.is_kept; i++) {
        if (find_end(reg, s.v[i].repo, &s.v[i].digest, &end, err) != 0)
            return -1;
        if (end > *until)
            *until = end;
    }
    return *until != 0;
}
