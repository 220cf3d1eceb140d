#include "process/keeper/index_pool.h"
#include "domain/metrics/metrics.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/mem.h"

/* A child has this time before the layers that it has not begun are taken back. */
#define BATCH_MS 100
/* Layers in all children together, because each has two files open. */
#define LAYERS_MAX 256

void
index_pool_init(struct index_pool *p, const struct options *o, const struct registry *reg,
                struct loop *loop)
{
    *p = (struct index_pool){.reg = reg, .jobs = o->index_jobs};
    p->running = mem_array(p->jobs, sizeof *p->running);
    p->ended = mem_array(p->jobs, sizeof *p->ended);
    for (size_t i = 0; i < p->jobs; i++)
        loop_fd_init(&p->ended[i], loop, NULL, NULL);
    index_child_bounds_of(&p->bounds, o);
}

void
index_pool_free(struct index_pool *p)
{
    for (size_t i = 0; i < p->jobs; i++)
        loop_fd_stop(&p->ended[i]);
    while (p->n > 0)
        index_child_stop(&p->running[--p->n].child);
    free(p->running);
    free(p->ended);
}

/* ---- filling one ---- */

static struct index_pool_child *
find_pool_child(const struct index_pool *p, const struct digest *layer)
{
    for (size_t i = 0; i < p->n + p->filling; i++)
        if (index_child_has(&p->running[i].child, layer))
            return &p->running[i];
    return NULL;
}

bool
index_pool_has(const struct index_pool *p, const struct digest *layer)
{
    return find_pool_child(p, layer) != NULL;
}

bool
index_pool_is_full(const struct index_pool *p)
{
    return p->n == p->jobs;
}

static size_t
count_layers(const struct index_pool *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n + p->filling; i++)
        n += p->running[i].child.n;
    return n;
}

/* May the layer go into the child that is being filled? */
static bool
fits_filling(const struct index_pool *p, const struct index_job *j, uint64_t size)
{
    const struct index_pool_child *c = &p->running[p->n];
    bool urgent = index_job_is_waited_for(j);

    return p->filling && index_child_has_room(&c->child, size) && c->urgent == urgent &&
           (!urgent || strcmp(c->repository, j->record.repository) == 0) &&
           count_layers(p) < LAYERS_MAX;
}

bool
index_pool_has_room(const struct index_pool *p, const struct index_job *j, uint64_t size)
{
    return p->n + p->filling < p->jobs || fits_filling(p, j, size);
}

int
index_pool_give(struct index_pool *p, const struct index_job *j, const struct digest *layer,
                const struct blob_late *blob, struct err *err)
{
    struct index_pool_child *c;

    if (!fits_filling(p, j, blob->size) && index_pool_start(p, err) < 0) {
        fdio_close(blob->fd);
        return -1;
    }
    c = &p->running[p->n];
    if (!p->filling) {
        index_child_init(&c->child);
        c->urgent = index_job_is_waited_for(j);
        memcpy(c->repository, j->record.repository, sizeof c->repository);
        p->filling = true;
    }
    return index_child_add(&c->child, p->reg, layer, blob, err);
}

int
index_pool_start(struct index_pool *p, struct err *err)
{
    struct index_pool_child *c = &p->running[p->n];

    if (!p->filling)
        return 0;
    p->filling = false;
    if (c->child.n == 0)
        return 0;
    if (index_child_start(&c->child, p->reg, &p->bounds, err) < 0) {
        index_child_stop(&c->child);
        return -1;
    }
    c->recall_at = c->child.n > 1 ? clock_mono_ms() + BATCH_MS : UINT64_MAX;
    p->n++;
    return 0;
}

/* ---- while they run ---- */

static bool
recall_pool_child(struct index_pool_child *c)
{
    if (c->recall_at == UINT64_MAX)
        return false;
    index_child_recall(&c->child);
    c->recall_at = UINT64_MAX;
    return true;
}

void
index_pool_make_way(struct index_pool *p, const struct digest *layer)
{
    struct index_pool_child *c = find_pool_child(p, layer);

    for (size_t i = 0; i < p->n; i++)
        if (!p->running[i].urgent && (c == &p->running[i] || (c == NULL && p->n == p->jobs)))
            recall_pool_child(&p->running[i]);
}

/* A layer that takes long must not keep others waiting that could go to another child. */
bool
index_pool_recall_slow(struct index_pool *p)
{
    uint64_t now = clock_mono_ms();
    bool any = false;

    for (size_t i = 0; i < p->n; i++)
        if (now >= p->running[i].recall_at && recall_pool_child(&p->running[i]))
            any = true;
    return any;
}

void
index_pool_watch(struct index_pool *p, struct loop_timer *due)
{
    for (size_t i = 0; i < p->jobs; i++) {
        const struct index_pool_child *c = i < p->n ? &p->running[i] : NULL;

        loop_fd_set(&p->ended[i], c != NULL ? c->child.process.ended : -1, POLLIN);
        if (c != NULL && c->recall_at != UINT64_MAX)
            loop_timer_by(due, c->recall_at);
    }
}

/* ---- when they have ended ---- */

/* Returns true if a child took the place of this one, with the layer that this one died of. */
static bool
reap_pool_child(struct index_pool *p, struct index_pool_child *c, enum confined_end how,
                const char *died, index_pool_fn *fn, void *arg, int *rc, struct err *err)
{
    struct index_pool_child alone = {.recall_at = UINT64_MAX};
    char why[ERR_MESSAGE_MAX];
    enum index_child_end end;
    bool is_retried = false;

    for (size_t i = 0; i < c->child.n && !is_retried; i++) {
        int r = index_child_take(&c->child, i, p->reg, &p->bounds, how, died, &end, why, err);

        if (r == 0 && end == INDEX_CHILD_ALONE) {
            r = index_child_retry(&alone.child, &c->child, i, p->reg, &p->bounds, err);
            if (r < 0)
                index_child_stop(&alone.child);
            is_retried = r == 0;
        } else if (r == 0 && end != INDEX_CHILD_LEFT) {
            r = fn(arg, &c->child.layers[i], end, why, err);
            p->done++;
            metrics_count(p->reg->counts, METRIC_LAYERS_INDEXED,
                          end == INDEX_CHILD_DONE ? METRICS_OK : METRICS_FAILED, 1);
        }
        if (r < 0)
            *rc = -1;
    }
    index_child_stop(&c->child);
    if (is_retried)
        *c = alone;
    return is_retried;
}

bool
index_pool_reap(struct index_pool *p, index_pool_fn *fn, void *arg, int *rc, struct err *err)
{
    char died[CONFINED_WHY_MAX];
    enum confined_end how;
    bool any = false;

    for (size_t i = 0; i < p->n; i++) {
        struct index_pool_child *c = &p->running[i];

        if (!index_child_ended(&c->child, &how, died))
            continue;
        any = true;
        if (!reap_pool_child(p, c, how, died, fn, arg, rc, err))
            p->running[i--] = p->running[--p->n];
    }
    return any;
}
