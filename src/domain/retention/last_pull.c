#include "domain/retention/last_pull.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "domain/retention/pull_memory.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_meta.h"
#include "storage/tables/tbl_pull.h"
#include "storage/tables/tbl_tag.h"
#include "util/clock.h"

/* A poke wakes the keeper, which looks whether the memory is filling. */
void
last_pull_note(const struct registry *reg, uint64_t repo, const char *name)
{
    const uint64_t one = 1;
    ssize_t ignored;

    if (reg->pulls == NULL || !pull_memory_note(reg->pulls, repo, name, clock_wall_ms()))
        return;
    ignored = reg->poke != NULL ? write(*reg->poke, &one, sizeof one) : 0;
    (void)ignored;
}

/* ---- writing down ---- */

struct pull_batch {
    struct pull_memory_entry v[LAST_PULL_BATCH];
    size_t n;
    bool gone[LAST_PULL_BATCH];
};

static int
compare_entries(const void *a, const void *b)
{
    const struct pull_memory_entry *x = a, *y = b;

    return x->repo != y->repo ? (x->repo > y->repo) - (x->repo < y->repo)
                              : strcmp(x->name, y->name);
}

static bool
is_digest_text(const char *name)
{
    return strchr(name, ':') != NULL;
}

/* Marks the entries of one kind whose tag or manifest is gone. */
static int
look_for_gone(struct txn *t, struct pull_batch *b, bool digests, struct err *err)
{
    struct rec_manifest manifest;
    struct rec_tag tag;
    struct digest d;

    for (size_t i = 0; i < b->n; i++) {
        const struct pull_memory_entry *e = &b->v[i];
        int rc = 0;

        if (is_digest_text(e->name) != digests)
            continue;
        if (!digests)
            rc = tbl_tag_get(t, e->repo, e->name, &tag, err);
        else if (digest_parse(&d, e->name, strlen(e->name), err) == 0)
            rc = tbl_manifest_get(t, e->repo, &d, &manifest, err);
        if (rc < 0)
            return -1;
        b->gone[i] = rc == 0;
    }
    return 0;
}

static int
put_pull_batch(struct txn *t, void *arg, struct err *err)
{
    struct pull_batch *b = arg;
    struct rec_pull r;

    kv_relax(t);
    if (look_for_gone(t, b, false, err) != 0 || look_for_gone(t, b, true, err) != 0)
        return -1;
    for (size_t i = 0; i < b->n; i++) {
        const struct pull_memory_entry *e = &b->v[i];
        int rc = b->gone[i] ? 0 : tbl_pull_get_for_update(t, e->repo, e->name, &r, err);

        if (rc < 0)
            return -1;
        if (b->gone[i] || (rc == 1 && r.last >= e->last))
            continue;
        r.last = e->last;
        if (tbl_pull_put(t, e->repo, e->name, &r, err) != 0)
            return -1;
    }
    return 0;
}

static int
put_pulls_since(struct txn *t, void *arg, struct err *err)
{
    kv_relax(t);
    return tbl_meta_put(t, META_PULLS_SINCE, *(const uint64_t *)arg, err);
}

/* Counting begins with the first call for a store. */
static int
note_pulls_since(const struct registry *reg, struct err *err)
{
    uint64_t forgotten = pull_memory_forgotten(reg->pulls), since;
    int rc = tbl_meta_get(kv_reads(reg->kv), META_PULLS_SINCE, &since, err);

    if (rc < 0 || (rc == 1 && since >= forgotten))
        return rc < 0 ? -1 : 0;
    since = rc == 1 ? forgotten : clock_wall_ms();
    return txn_run(reg->kv, put_pulls_since, &since, err);
}

int
last_pull_flush(const struct registry *reg, struct err *err)
{
    struct pull_batch b = {.n = LAST_PULL_BATCH};
    size_t at = 0;

    if (reg->read_only)
        return 0;
    if (note_pulls_since(reg, err) != 0)
        return -1;
    while (b.n == LAST_PULL_BATCH && pull_memory_has_any(reg->pulls)) {
        b.n = pull_memory_read(reg->pulls, &at, b.v, LAST_PULL_BATCH);
        if (b.n == 0)
            break;
        qsort(b.v, b.n, sizeof *b.v, compare_entries);
        if (txn_run(reg->kv, put_pull_batch, &b, err) != 0)
            return -1;
        for (size_t i = 0; i < b.n; i++)
            pull_memory_wrote(reg->pulls, &b.v[i]);
    }
    return 0;
}

/* ---- asking ---- */

static int
find_newer_pull(const struct registry *reg, uint64_t repo, const char *name, uint64_t *last,
                struct err *err)
{
    struct rec_pull r;
    int rc = tbl_pull_get(kv_reads(reg->kv), repo, name, &r, err);

    if (rc == 1 && r.last > *last)
        *last = r.last;
    return rc < 0 ? -1 : 0;
}

int
last_pull_read(const struct registry *reg, uint64_t repo, const char *tag,
               const struct digest *target, uint64_t *last, struct err *err)
{
    char text[DIGEST_TEXT_MAX];

    *last = 0;
    digest_text(text, target);
    if (find_newer_pull(reg, repo, tag, last, err) != 0 ||
        (target->algo != DIGEST_V1_ID && find_newer_pull(reg, repo, text, last, err) != 0))
        return -1;
    return *last != 0;
}

int
last_pull_find(const struct registry *reg, uint64_t repo, const char *tag, const struct rec_tag *r,
               uint64_t *last, struct err *err)
{
    char text[DIGEST_TEXT_MAX];
    int rc = tbl_meta_get(kv_reads(reg->kv), META_PULLS_SINCE, last, err);

    if (rc < 0)
        return -1;
    if (rc == 0)
        *last = clock_wall_ms();
    if (find_newer_pull(reg, repo, tag, last, err) != 0)
        return -1;
    digest_text(text, &r->target);
    return r->target.algo == DIGEST_V1_ID ? 0 : find_newer_pull(reg, repo, text, last, err);
}
