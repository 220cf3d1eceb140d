#include "domain/check/damage.h"
#include "domain/core/index_place.h"
#include "domain/core/quota.h"
#include "domain/core/repository.h"
#include "domain/events/event.h"
#include "domain/inside/index_job.h"
#include "storage/files/quarantine.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_damage.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_image.h"
#include "storage/tables/tbl_repo_name.h"
#include "util/clock.h"
#include "util/log.h"

/* Rights that one transaction looks at, and rows of one call of damage_settle. */
#define RIGHTS 100
#define ROWS 64

struct damaging {
    const struct registry *reg;
    const struct digest *d;
    uint64_t instance;
    const char *why;
    bool done;    /* the transaction changed something */
    bool waits;   /* something needs the blob */
    bool indexed; /* there was an index */
    uint64_t repo, size;
    char repository[RECORD_REPOSITORY_MAX + 1];
};

static struct rec_damage
row_of_damage(const struct damaging *x, enum damage_state state, uint64_t size)
{
    struct rec_damage r = {.state = state,
                           .found = clock_wall_ms(),
                           .instance = x->instance,
                           .size = size,
                           .was_layer = x->indexed};

    snprintf(r.why, sizeof r.why, "%.*s", RECORD_DAMAGE_WHY_MAX, x->why);
    return r;
}

/* ---- it is found ---- */

static int
put_found(struct txn *t, void *arg, struct err *err)
{
    static const struct actor nobody = {.user = ""};
    struct damaging *x = arg;
    struct rec_damage r;
    struct rec_blob blob;
    struct rec_event e = event_of(EVENT_DAMAGE, x->repository, &nobody);
    int rc = tbl_blob_get(t, x->d, &blob, err);

    x->done = false;
    if (rc != 1 || blob.instance != x->instance)
        return rc < 0 ? -1 : 0;
    rc = tbl_damage_get(t, x->d, &r, err);
    if (rc < 0 || (rc == 1 && r.state == DAMAGE_FOUND && r.instance == x->instance))
        return rc < 0 ? -1 : 0;
    r = row_of_damage(x, DAMAGE_FOUND, blob.size);
    e.id = e.digest = *x->d;
    x->done = true;
    return tbl_damage_put(t, x->d, &r, err) != 0 ? -1 : event_tell(t, &nobody, &e, err);
}

/* The event names a repository that has the blob, if there is one. */
static int
find_holder(struct damaging *x, struct err *err)
{
    static const enum edge_kind kinds[] = {EDGE_PART, EDGE_HELD, EDGE_MEMBER};
    uint64_t repo = 0;
    int rc = 0;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && rc == 0; i++)
        rc = tbl_edge_next_repo(kv_reads(x->reg->kv), x->d, kinds[i], 0, &repo, err);
    return rc == 1 ? repository_name(x->reg, repo, x->repository, err) : rc;
}

int
damage_note(const struct registry *reg, const struct digest *d, uint64_t instance, const char *why,
            struct err *err)
{
    struct damaging x = {.reg = reg, .d = d, .instance = instance, .why = why};

    if (find_holder(&x, err) < 0 || txn_run_anyway(reg->kv, put_found, &x, err) != 0)
        return -1;
    return x.done;
}

/* ---- it is taken out of use ---- */

static int
withdraw_blob(struct txn *t, void *arg, struct err *err)
{
    struct damaging *x = arg;
    struct rec_damage r;
    struct rec_blob blob;
    int rc = tbl_blob_get_for_update(t, x->d, &blob, err), kept, is_part;

    x->done = false;
    if (rc != 1 || blob.instance != x->instance)
        return rc < 0 ? -1 : 0;
    kept = tbl_edge_kept(t, x->d, err);
    if (kept < 0 || tbl_blob_drop(t, x->d, err) != 0)
        return -1;
    x->waits = kept == 1;
    x->done = true;
    x->size = blob.size;
    is_part = tbl_edge_any(t, x->d, EDGE_PART, err);
    if (is_part < 0)
        return -1;
    r = row_of_damage(x, DAMAGE_WAITS, blob.size);
    r.was_layer = x->indexed || is_part == 1; /* its index may be lost, too */
    if (x->waits)
        return tbl_damage_put(t, x->d, &r, err);
    return tbl_damage_drop(t, x->d, err) != 0 ? -1 : quota_discount(t, 0, x->d, blob.size, err);
}

/* Does a manifest of the repository need the blob, or a deleted one? 1, 0, -1. */
static int
needs_blob(struct txn *t, const struct digest *d, uint64_t repo, struct err *err)
{
    static const enum edge_kind kinds[] = {EDGE_PART, EDGE_CHILD, EDGE_TRASH_PART};
    uint64_t at = 0;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        int rc = tbl_edge_next_repo(t, d, kinds[i], repo - 1, &at, err);

        if (rc < 0 || (rc == 1 && at == repo))
            return rc;
    }
    return 0;
}

/* Stops when the blob is back: then the rights are good again. x->done: there are no more. */
static int
drop_rights(struct txn *t, void *arg, struct err *err)
{
    struct damaging *x = arg;
    uint64_t repo = x->repo;
    struct rec_blob blob;
    int rc = tbl_blob_get_for_update(t, x->d, &blob, err);

    x->done = rc == 1;
    for (unsigned i = 0; rc == 0 && i < RIGHTS && !x->done; i++) {
        struct edge member = {.to = *x->d, .kind = EDGE_MEMBER};

        rc = tbl_edge_next_repo(t, x->d, EDGE_MEMBER, repo, &repo, err);
        x->done = rc == 0;
        if (rc != 1)
            continue;
        member.repo = repo;
        rc = needs_blob(t, x->d, repo, err);
        if (rc == 0 && (tbl_edge_drop(t, &member, err) != 0 ||
                        quota_discount(t, repo, x->d, x->size, err) != 0))
            rc = -1;
        rc = rc < 0 ? -1 : 0;
    }
    if (rc < 0)
        return -1;
    x->repo = repo;
    return 0;
}

static int
copy_image_id(const struct edge *e, void *arg, struct err *err)
{
    (void)err;
    *(struct digest *)arg = e->from;
    return 1;
}

/* Its pusher can send the layer again: to others it is as if it had not come yet. */
static int
open_image(struct txn *t, void *arg, struct err *err)
{
    struct damaging *x = arg;
    struct edge layer = {.to = *x->d, .kind = EDGE_IMAGE};
    struct rec_image r;
    int rc;

    layer.from = (struct digest){.algo = DIGEST_NONE};
    rc = tbl_edge_each(t, x->d, EDGE_IMAGE, 0, NULL, copy_image_id, &layer.from, err);
    x->done = layer.from.algo == DIGEST_NONE;
    if (rc != 0 || x->done)
        return rc;
    rc = tbl_image_get_for_update(t, &layer.from, &r, err);
    if (rc == 1 && digest_equal(&r.layer, x->d)) {
        r.state = IMAGE_JSON;
        r.layer = r.checksum = (struct digest){.algo = DIGEST_NONE};
        rc = tbl_image_put(t, &layer.from, &r, err) == 0 ? 1 : -1;
    }
    return rc < 0 ? -1 : tbl_edge_drop(t, &layer, err);
}

static int
repeat(struct damaging *x, int (*fn)(struct txn *t, void *arg, struct err *err), struct err *err)
{
    x->repo = 0;
    do {
        if (txn_run_anyway(x->reg->kv, fn, x, err) != 0)
            return -1;
    } while (!x->done);
    return 0;
}

int
damage_quarantine(const struct registry *reg, const struct digest *d, uint64_t instance,
                  const char *why, struct err *err)
{
    struct damaging x = {.reg = reg, .d = d, .instance = instance, .why = why};

    if (quarantine_prepare(reg->blobs, err) != 0)
        return -1;
    x.indexed = index_store_has(index_place(reg), d, err) != 0;
    if (txn_run_anyway(reg->kv, withdraw_blob, &x, err) != 0)
        return -1;
    if (!x.done)
        return 0;
    /* The file goes when the deletion of its record is durable, which it is. */
    if (repeat(&x, open_image, err) != 0 || repeat(&x, drop_rights, err) != 0 ||
        quarantine_put(reg->blobs, d, instance, err) != 0)
        return -1;
    return x.indexed ? index_store_remove(index_place(reg), d, err) : 0;
}

/* ---- it is over ---- */

struct settling_row {
    struct digest d;
    struct rec_damage r;
    bool is_back;
};

struct settling_rows {
    struct settling_row v[ROWS];
    size_t n;
};

static int
collect_row(const struct digest *d, const struct rec_damage *r, void *arg, struct err *err)
{
    struct settling_rows *rows = arg;

    (void)err;
    rows->v[rows->n++] = (struct settling_row){.d = *d, .r = *r};
    return rows->n == ROWS;
}

static int
settle_row(struct txn *t, void *arg, struct err *err)
{
    struct settling_row *x = arg;
    struct rec_blob blob;
    int rc = tbl_blob_get(t, &x->d, &blob, err), kept = 1;

    x->is_back = rc == 1 && x->r.state == DAMAGE_WAITS;
    if (rc < 0 || (rc == 1 && x->r.state == DAMAGE_FOUND && blob.instance == x->r.instance))
        return rc < 0 ? -1 : 0;
    if (rc == 0)
        kept = tbl_edge_kept(t, &x->d, err);
    if (kept < 0 || (rc == 0 && kept == 1 && x->r.state == DAMAGE_WAITS))
        return kept < 0 ? -1 : 0;
    if (tbl_damage_drop(t, &x->d, err) != 0)
        return -1;
    if (kept != 0)
        return 0;
    return tbl_edge_delete_all(t, &x->d, err) != 0 ? -1
                                                   : quota_discount(t, 0, &x->d, x->r.size, err);
}

int
damage_settle(const struct registry *reg, struct err *err)
{
    struct settling_rows rows = {.n = 0};
    char text[DIGEST_TEXT_MAX];

    if (tbl_damage_each(kv_reads(reg->kv), NULL, collect_row, &rows, err) != 0)
        return -1;
    for (size_t i = 0; i < rows.n; i++) {
        struct settling_row *x = &rows.v[i];
        struct rec_blob blob;
        int rc = tbl_blob_get(kv_reads(reg->kv), &x->d, &blob, err);

        if (rc == 1 && x->r.state == DAMAGE_WAITS && x->r.was_layer)
            rc = index_job_demand(reg, &x->d, NULL, err);
        if (rc < 0 || txn_run_anyway(reg->kv, settle_row, x, err) != 0)
            return -1;
        if (!x->is_back)
            continue;
        digest_text(text, &x->d);
        log_line(LOG_INFO, "a blob that was damaged is back", "blob=%s", text);
    }
    return 0;
}
