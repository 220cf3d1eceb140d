#include "domain/inside/index_job.h"
#include <limits.h>
#include <unistd.h>
#include "domain/events/event.h"
#include "domain/core/foreign_images.h"
#include "domain/core/chain_id.h"
#include "domain/core/manifest.h"
#include "domain/core/manifest_ids.h"
#include "domain/events/outbox.h"
#include "domain/core/pull.h"
#include "domain/core/repository.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_meta.h"
#include "util/arena.h"
#include "util/clock.h"

/* Events read in one call. */
#define BATCH 256

/* Memory for judging the ids of one image, and for what is known of those of a batch: an image has
 * at most CHAIN_ID_LAYERS_MAX and one. */
#define JUDGE_MEMORY (32u << 20)
#define JUDGED_MEMORY (INDEX_JOB_DONE_MAX * (CHAIN_ID_LAYERS_MAX + 2) * sizeof(struct judged_id))

/* ---- layers that a request waits for ---- */

/* All demands have one of two times, so that a layer has one job for any number of requests. */
enum { DUE_WAITED_FOR = 0, DUE_BEFORE_OTHERS = 1 };

static int
put_demand(struct txn *t, void *arg, struct err *err)
{
    const struct index_job *j = arg;

    return tbl_job_put(t, &j->job, &j->record, err);
}

static void
wake(const struct registry *reg)
{
    uint64_t one = 1;
    ssize_t ignored = reg->poke != NULL ? write(*reg->poke, &one, sizeof one) : 0;

    (void)ignored; /* if this fails, the keeper looks by itself within a second */
}

int
index_job_demand(const struct registry *reg, const struct digest *layer, const char *repository,
                 struct err *err)
{
    struct index_job j = {.job = {.kind = JOB_INDEX, .digest = *layer}};
    int rc;

    if (reg->read_only)
        return err_set(err, ERR_NOT_BROWSABLE,
                       "the layer has no index yet, and this registry is read-only");
    j.job.due = repository != NULL ? DUE_WAITED_FOR : DUE_BEFORE_OTHERS;
    snprintf(j.record.repository, sizeof j.record.repository, "%s",
             repository != NULL ? repository : "");
    if (index_store_check(index_place(reg), err) != 0)
        return -1;
    rc = tbl_job_has(kv_reads(reg->kv), &j.job, err);
    if (rc == 0 && txn_run(reg->kv, put_demand, &j, err) != 0)
        return -1;
    if (rc >= 0)
        wake(reg);
    return rc < 0 ? -1 : 0;
}

int
index_job_is_asked(const struct registry *reg, const struct digest *layer, struct err *err)
{
    struct job j = {.kind = JOB_INDEX, .digest = *layer, .due = DUE_WAITED_FOR};
    int rc = tbl_job_has(kv_reads(reg->kv), &j, err);

    j.due = DUE_BEFORE_OTHERS;
    return rc == 0 ? tbl_job_has(kv_reads(reg->kv), &j, err) : rc;
}

bool
index_job_is_waited_for(const struct index_job *j)
{
    return j->job.kind == JOB_INDEX && j->job.due == DUE_WAITED_FOR;
}

/* ---- from events to jobs ---- */

struct taking {
    struct outbox_event events[BATCH];
    size_t n;
    uint64_t now;
};

static bool
is_new_image(const struct rec_event *e)
{
    if (e->id.algo == DIGEST_V1_ID)
        return e->type == EVENT_LAYER;
    return e->type == EVENT_IMAGE;
}

static int
put_job(struct txn *t, const struct rec_event *e, uint64_t now, struct err *err)
{
    bool v1 = e->id.algo == DIGEST_V1_ID;
    struct job j = {.kind = JOB_INDEX_IMAGE, .due = now, .digest = v1 ? e->id : e->digest};
    struct rec_job r = {.tries = 0};
    int rc;

    snprintf(r.repository, sizeof r.repository, "%s", e->repository);
    snprintf(r.by, sizeof r.by, "%s", e->actor);
    /* The same image pushed to another repository at the same moment has the same key. */
    while ((rc = tbl_job_has(t, &j, err)) == 1)
        j.due++;
    return rc < 0 ? -1 : tbl_job_put(t, &j, &r, err);
}

static int
put_index_jobs(struct txn *t, void *arg, struct err *err)
{
    const struct taking *x = arg;

    if (tbl_meta_put(t, META_EVENTS_INDEXED, x->events[x->n - 1].seq, err) != 0)
        return -1;
    for (size_t i = 0; i < x->n; i++)
        if (is_new_image(&x->events[i].event) && put_job(t, &x->events[i].event, x->now, err) != 0)
            return -1;
    return 0;
}

int
index_job_take(const struct registry *reg, uint32_t *mark, bool *more, struct err *err)
{
    struct taking x; /* large, and mostly not used: not filled with zeros */
    bool any = false;

    x.now = clock_wall_ms();
    if (outbox_read(reg, *mark, x.events, BATCH, &x.n, err) != 0)
        return -1;
    *more = x.n == BATCH;
    for (size_t i = 0; i < x.n; i++)
        any = any || is_new_image(&x.events[i].event);
    if (any && txn_run(reg->kv, put_index_jobs, &x, err) != 0)
        return -1;
    if (x.n > 0)
        *mark = x.events[x.n - 1].seq;
    return 0;
}

/* ---- looking ---- */

unsigned
index_job_kin(const struct rec_job *one, const struct rec_job *other)
{
    return (strcmp(one->repository, other->repository) == 0) +
           (one->by[0] != '\0' && strcmp(one->by, other->by) == 0);
}

struct listing {
    struct index_job_list *list;
    size_t had;
    uint64_t now;
    unsigned most; /* the largest number of kin in a full list; UINT_MAX: to be counted */
    size_t at;     /* the last job with this number */
};

static unsigned
count_kin(const struct listing *l, const struct rec_job *r, size_t *of_repository)
{
    unsigned n = 0;

    *of_repository = 0;
    for (size_t i = 0; i < l->list->n; i++) {
        n += index_job_kin(r, &l->list->v[i].record);
        *of_repository += strcmp(r->repository, l->list->v[i].record.repository) == 0;
    }
    return n;
}

static bool
list_has_job(const struct listing *l, const struct job *j)
{
    for (size_t i = 0; i < l->had; i++)
        if (l->list->v[i].job.due == j->due && digest_equal(&l->list->v[i].job.digest, &j->digest))
            return true;
    return false;
}

/* Finds the job that makes room for one of a repository that has less. */
static void
find_most_kin(struct listing *l)
{
    size_t ignored;

    l->most = 0;
    for (size_t i = l->had; i < l->list->n; i++) {
        unsigned n = count_kin(l, &l->list->v[i].record, &ignored);

        if (n >= l->most) {
            l->most = n;
            l->at = i;
        }
    }
}

static int
collect_index_job(const struct job *j, const struct rec_job *r, void *arg, struct err *err)
{
    struct listing *l = arg;
    struct index_job_list *list = l->list;
    size_t of_repository;
    unsigned kin;

    (void)err;
    if (j->due > l->now) {
        list->next_due = j->due;
        return 1;
    }
    if (list_has_job(l, j))
        return 0;
    kin = count_kin(l, r, &of_repository);
    list->more = list->more || list->n == list->room || of_repository >= list->room / 2;
    if (of_repository >= list->room / 2)
        return 0;
    if (list->n == list->room) {
        if (l->most == UINT_MAX)
            find_most_kin(l);
        if (l->at >= list->n || kin + 1 >= l->most)
            return 0;
        list->n--;
        memmove(&list->v[l->at], &list->v[l->at + 1], (list->n - l->at) * sizeof *list->v);
    }
    list->v[list->n++] = (struct index_job){*j, *r};
    l->most = UINT_MAX;
    return 0;
}

int
index_job_list(const struct registry *reg, enum job_kind kind, struct index_job_list *list,
               struct err *err)
{
    struct listing l = {
        .list = list, .had = list->n, .now = clock_wall_ms(), .most = UINT_MAX, .at = SIZE_MAX};

    list->more = false;
    list->next_due = UINT64_MAX;
    return tbl_job_each(kv_reads(reg->kv), kind, collect_index_job, &l, err);
}

static int
layers_of_manifest(const struct registry *reg, const struct index_job *j, struct arena *arena,
                   struct index_job_image *image, struct err *err)
{
    struct rec_repo repo;
    struct rec_manifest r;
    struct manifest m;
    struct bytes document;
    int rc = repository_find(reg, j->record.repository, &repo, err);

    if (rc == 1)
        rc = tbl_manifest_get(kv_reads(reg->kv), repo.id, &j->job.digest, &r, err);
    if (rc == 1)
        rc = pull_document(reg, &j->job.digest, r.size, arena, &document, err);
    if (rc != 1)
        return rc;
    if (manifest_parse(&m, document, r.media_type, arena, err) != 0)
        return err->code == ERR_SYSTEM ? -1 : 0;
    image->layers = arena_array(arena, m.descriptors_n + 1, sizeof *image->layers);
    if (image->layers == NULL)
        return arena_full(err);
    image->id = *manifest_id(&m, &j->job.digest);
    for (size_t i = 0; i < m.descriptors_n; i++)
        if (m.descriptors[i].part == PART_LAYER)
            image->layers[image->layers_n++] = m.descriptors[i].digest;
    return 1;
}

static int
layers_of_v1(const struct registry *reg, const struct index_job *j, struct arena *arena,
             struct index_job_image *image, struct err *err)
{
    struct foreign_layers found;
    int rc = reg->foreign->layers(reg, &j->job.digest, arena, &found, err);

    if (rc == 1)
        *image = (struct index_job_image){
            .id = j->job.digest, .layers = found.layers, .layers_n = found.n};
    return rc;
}

int
index_job_image(const struct registry *reg, const struct index_job *j, struct arena *arena,
                struct index_job_image *image, struct err *err)
{
    *image = (struct index_job_image){.layers_n = 0};
    return j->job.digest.algo == DIGEST_V1_ID ? layers_of_v1(reg, j, arena, image, err)
                                              : layers_of_manifest(reg, j, arena, image, err);
}

/* ---- finished jobs ---- */

struct ending {
    const struct index_job_end *v;
    size_t n;
    struct {
        uint64_t repo;
        struct judged_id *ids; /* in the arena */
        size_t n;
    } judged[INDEX_JOB_DONE_MAX]; /* of those that are manifests */
    struct arena arena;
};

static int
tell_of_index(struct txn *t, const struct index_job_end *x, struct err *err)
{
    struct actor by = {.user = x->job.record.by, .address = ""};
    struct rec_event e = event_of(EVENT_INDEX, x->job.record.repository, &by);

    e.id = x->id;
    if (x->job.job.digest.algo != DIGEST_V1_ID)
        e.digest = x->job.job.digest;
    return event_tell(t, &by, &e, err);
}

static int
done(struct txn *t, void *arg, struct err *err)
{
    const struct ending *x = arg;
    bool was_there[INDEX_JOB_DONE_MAX];

    for (size_t i = 0; i < x->n; i++) {
        int rc = tbl_job_delete(t, &x->v[i].job.job, err);

        if (rc < 0)
            return -1;
        was_there[i] = rc == 1;
    }
    for (size_t i = 0; i < x->n; i++)
        if (manifest_ids_settle(t, x->judged[i].repo, &x->v[i].job.job.digest, x->judged[i].ids,
                                x->judged[i].n, err) != 0)
            return -1;
    for (size_t i = 0; i < x->n; i++)
        if (was_there[i] && tell_of_index(t, &x->v[i], err) != 0)
            return -1;
    return 0;
}

/* Documents are read into an arena of their own; only what is judged remains. */
static int
judge_image(const struct registry *reg, struct ending *x, size_t i, struct err *err)
{
    const struct index_job *j = &x->v[i].job;
    struct judged_id *ids = NULL;
    struct rec_repo repo;
    struct arena arena;
    size_t n = 0;
    int rc;

    if (j->job.digest.algo == DIGEST_V1_ID ||
        (rc = repository_find(reg, j->record.repository, &repo, err)) == 0)
        return 0;
    arena_init(&arena, JUDGE_MEMORY);
    if (rc == 1)
        rc = reg->foreign->judge_ids(reg, repo.id, &j->job.digest, &arena, &ids, &n, err);
    if (rc == 0 && n > 0) {
        x->judged[i].repo = repo.id;
        x->judged[i].ids = arena_array(&x->arena, n, sizeof *ids);
        if (x->judged[i].ids != NULL)
            memcpy(x->judged[i].ids, ids, n * sizeof *ids);
        x->judged[i].n = x->judged[i].ids != NULL ? n : 0;
    }
    arena_reset(&arena);
    /* An id whose documents can't be read now is judged when a client asks for it. */
    return rc < 0 && err->code != ERR_BUSY && err->code != ERR_NO_SPACE && err->code != ERR_FAULT
               ? 0
               : rc;
}

int
index_job_done(const struct registry *reg, const struct index_job_end *v, size_t n, struct err *err)
{
    struct ending x = {.v = v, .n = n < INDEX_JOB_DONE_MAX ? n : INDEX_JOB_DONE_MAX};
    int rc = 0;

    arena_init(&x.arena, JUDGED_MEMORY);
    for (size_t i = 0; i < x.n && rc == 0; i++)
        rc = judge_image(reg, &x, i, err);
    if (rc == 0)
        rc = txn_run(reg->kv, done, &x, err);
    arena_reset(&x.arena);
    return rc;
}

static int
drop_index_jobs(struct txn *t, void *arg, struct err *err)
{
    return tbl_job_drop(t, arg, err);
}

int
index_job_drop(const struct registry *reg, const struct index_job *j, struct err *err)
{
    struct job job = j->job;

    return txn_run(reg->kv, drop_index_jobs, &job, err);
}

struct postponing {
    const struct index_job *j;
    uint64_t due;
};

static int
postpone_image(struct txn *t, void *arg, struct err *err)
{
    const struct postponing *x = arg;
    struct job j = x->j->job;
    struct rec_job r = x->j->record;
    int rc = tbl_job_delete(t, &j, err);

    if (rc != 1)
        return rc;
    j.due = x->due;
    r.tries++;
    while ((rc = tbl_job_has(t, &j, err)) == 1)
        j.due++;
    return rc < 0 ? -1 : tbl_job_put(t, &j, &r, err);
}

int
index_job_postpone(const struct registry *reg, const struct index_job *j, uint64_t due,
                   struct err *err)
{
    struct postponing x = {j, due};

    return txn_run(reg->kv, postpone_image, &x, err);
}
