#include "domain/metrics/metrics.h"
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "util/clock.h"

#define CACHE_LINE 64
/* Tries to read what is just being written. */
#define READ_TRIES 100

const uint64_t metrics_bounds_us[METRICS_BOUNDS] = {
    100,    250,    500,    1000,    2500,    5000,    10000,    25000,    50000,
    100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000, 60000000};

const int metrics_statuses[METRICS_STATUSES] = {
    200, 201, 202, 204, 206, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 406,
    409, 410, 411, 412, 413, 414, 415, 416, 422, 429, 431, 500, 501, 503, 507, 0};

struct metrics_place {
    _Alignas(CACHE_LINE) atomic_bool runs;
    atomic_bool busy;
    atomic_uint process;
    atomic_bool used[1 + METRICS_ROUTES_MAX]; /* the others are zeros, and their pages untouched */
    atomic_ullong v[METRIC_COUNTED][METRICS_LABELS_MAX];
    atomic_ullong requests[METRICS_KINDS][METRICS_STATUSES];
    atomic_ullong durations[1 + METRICS_ROUTES_MAX][METRICS_BOUNDS + 1];
    atomic_ullong sum_us[1 + METRICS_ROUTES_MAX];
};

struct metrics_shared {
    struct readiness readiness;
    uint64_t started_ms;          /* clock_wall_ms(); like the next member never changed */
    ino_t sockets[METRICS_POOLS]; /* after the first fork */
    struct {
        atomic_bool known;
        atomic_ullong v;
    } told[METRIC_TOLD];
    atomic_uint quotas_n;
    struct {
        atomic_ullong used, limit;
        char pattern[METRICS_PATTERN_MAX]; /* the last byte is always 0 */
    } quotas[METRICS_QUOTAS_MAX];
    atomic_bool is_clock_judged;
    atomic_llong clock_base; /* what the clock has to be ahead of clock_mono_ms() */
    atomic_ullong clock_lag;
    atomic_uint nodes_n;
    atomic_uint nodes_version; /* odd while `nodes` is written */
    struct metrics_node nodes[METRICS_NODES_MAX];
    struct metrics_place places[];
};

static size_t
size_of_places(unsigned places)
{
    return sizeof(struct metrics_shared) + places * sizeof(struct metrics_place);
}

int
metrics_make(struct metrics *m, unsigned places, struct err *err)
{
    m->n = places;
    m->shared = mmap(NULL, size_of_places(places), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m->shared != MAP_FAILED) {
        m->shared->started_ms = clock_wall_ms();
        return 0;
    }
    *m = (struct metrics){0};
    return err_errno(err, "cannot share memory between %u processes", places);
}

void
metrics_close(struct metrics *m)
{
    if (m->shared != NULL)
        munmap(m->shared, size_of_places(m->n));
    *m = (struct metrics){0};
}

struct metrics_place *
metrics_place_of(const struct metrics *m, unsigned place)
{
    return place < m->n ? &m->shared->places[place] : NULL;
}

void
metrics_enter(struct metrics_place *p, enum metrics_process process)
{
    if (p == NULL)
        return;
    atomic_store(&p->busy, false);
    atomic_store(&p->process, process);
    atomic_store(&p->runs, true);
}

void
metrics_leave(struct metrics_place *p)
{
    if (p == NULL)
        return;
    atomic_store(&p->runs, false);
    atomic_store(&p->busy, false);
}

/* Only the process in the place writes there, so the sum needs no locked instruction. */
static void
add_to_place(atomic_ullong *to, uint64_t n)
{
    atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

void
metrics_count(struct metrics_place *p, enum metric metric, unsigned value, uint64_t n)
{
    if (p != NULL && metric < METRIC_COUNTED && value < METRICS_LABELS_MAX)
        add_to_place(&p->v[metric][value], n);
}

void
metrics_busy(struct metrics_place *p, bool busy)
{
    if (p != NULL)
        atomic_store_explicit(&p->busy, busy, memory_order_relaxed);
}

static unsigned
kind_of_request(const struct metrics_request *r, unsigned route)
{
    return route == 0 ? r->method : METRICS_METHODS + 2 * (route - 1) + r->is_second;
}

static unsigned
index_of_status(int status)
{
    unsigned i = 0;

    while (metrics_statuses[i] != 0 && metrics_statuses[i] != status)
        i++;
    return i;
}

static unsigned
index_of_duration(uint64_t us)
{
    unsigned i = 0;

    while (i < METRICS_BOUNDS && us > metrics_bounds_us[i])
        i++;
    return i;
}

void
metrics_request(struct metrics_place *p, const struct metrics_request *r)
{
    unsigned route = r->route <= METRICS_ROUTES_MAX ? r->route : 0;

    if (p == NULL || r->method >= METRICS_METHODS)
        return;
    atomic_store_explicit(&p->used[route], true, memory_order_relaxed);
    add_to_place(&p->requests[kind_of_request(r, route)][index_of_status(r->status)], 1);
    add_to_place(&p->durations[route][index_of_duration(r->us)], 1);
    add_to_place(&p->sum_us[route], r->us);
    add_to_place(&p->v[METRIC_RECEIVED_BYTES][0], r->received);
    add_to_place(&p->v[METRIC_SENT_BYTES][0], r->sent);
}

void
metrics_tell(const struct metrics *m, enum metric metric, uint64_t value)
{
    if (m == NULL || m->shared == NULL || metric < METRIC_COUNTED || metric >= METRIC_TOLD)
        return;
    atomic_store(&m->shared->told[metric].v, value);
    atomic_store(&m->shared->told[metric].known, true);
}

/* The patterns change only with the options, that is with a start; each keeper then writes them
 * once. */
void
metrics_tell_quota(const struct metrics *m, unsigned i, const char *pattern, uint64_t used,
                   uint64_t limit)
{
    char *to;

    if (m == NULL || m->shared == NULL || i >= METRICS_QUOTAS_MAX)
        return;
    to = m->shared->quotas[i].pattern;
    if (strcmp(to, pattern) != 0)
        snprintf(to, METRICS_PATTERN_MAX, "%s", pattern);
    atomic_store(&m->shared->quotas[i].used, used);
    atomic_store(&m->shared->quotas[i].limit, limit);
}

void
metrics_tell_quotas(const struct metrics *m, unsigned n)
{
    if (m != NULL && m->shared != NULL)
        atomic_store(&m->shared->quotas_n, n < METRICS_QUOTAS_MAX ? n : METRICS_QUOTAS_MAX);
}

void
metrics_tell_node(const struct metrics *m, unsigned i, const struct metrics_node *node)
{
    if (m == NULL || m->shared == NULL || i >= METRICS_NODES_MAX)
        return;
    atomic_fetch_add(&m->shared->nodes_version, 1);
    m->shared->nodes[i] = *node;
    atomic_fetch_add(&m->shared->nodes_version, 1);
}

void
metrics_tell_nodes(const struct metrics *m, unsigned n)
{
    if (m != NULL && m->shared != NULL)
        atomic_store(&m->shared->nodes_n, n < METRICS_NODES_MAX ? n : METRICS_NODES_MAX);
}

void
metrics_tell_clock(const struct metrics *m, bool is_judged, int64_t skew_ms, uint64_t lag_ms)
{
    if (m == NULL || m->shared == NULL)
        return;
    atomic_store(&m->shared->clock_base,
                 (int64_t)clock_wall_ms() - skew_ms - (int64_t)clock_mono_ms());
    atomic_store(&m->shared->clock_lag, lag_ms);
    atomic_store(&m->shared->is_clock_judged, is_judged);
}

bool
metrics_is_clock_wrong(const struct metrics *m)
{
    int64_t skew;

    if (m == NULL || m->shared == NULL || !atomic_load(&m->shared->is_clock_judged))
        return false;
    skew =
        (int64_t)clock_wall_ms() - (int64_t)clock_mono_ms() - atomic_load(&m->shared->clock_base);
    return skew > METRICS_SKEW_MAX_MS || skew < -METRICS_SKEW_MAX_MS;
}

uint64_t
metrics_clock_lag(const struct metrics *m)
{
    return m != NULL && m->shared != NULL ? atomic_load(&m->shared->clock_lag) : 0;
}

void
metrics_set_socket(const struct metrics *m, unsigned pool, int fd)
{
    struct stat st;

    if (pool < METRICS_POOLS && fstat(fd, &st) == 0)
        m->shared->sockets[pool] = st.st_ino;
}

ino_t
metrics_socket(const struct metrics *m, unsigned pool)
{
    return m->shared->sockets[pool];
}

uint64_t
metrics_started(const struct metrics *m)
{
    return m->shared->started_ms;
}

struct readiness *
metrics_readiness(const struct metrics *m)
{
    return m == NULL || m->shared == NULL ? NULL : &m->shared->readiness;
}

/* ---- all numbers at a moment ---- */

static uint64_t
read_number(const atomic_ullong *from)
{
    return atomic_load_explicit(from, memory_order_relaxed);
}

static void
add_kind(const struct metrics_place *p, unsigned kind, struct metrics_numbers *out)
{
    for (unsigned i = 0; i < METRICS_STATUSES; i++)
        out->requests[kind][i] += read_number(&p->requests[kind][i]);
}

static void
add_route(const struct metrics_place *p, unsigned route, struct metrics_numbers *out)
{
    if (route == 0) {
        for (unsigned i = 0; i < METRICS_METHODS; i++)
            add_kind(p, i, out);
    } else {
        add_kind(p, METRICS_METHODS + 2 * (route - 1), out);
        add_kind(p, METRICS_METHODS + 2 * (route - 1) + 1, out);
    }
    for (unsigned i = 0; i <= METRICS_BOUNDS; i++)
        out->durations[route][i] += read_number(&p->durations[route][i]);
    out->sum_us[route] += read_number(&p->sum_us[route]);
}

static void
sum_up_place(const struct metrics_place *p, struct metrics_numbers *out)
{
    unsigned process = atomic_load(&p->process);

    for (unsigned i = 0; i < METRIC_COUNTED; i++)
        for (unsigned k = 0; k < metrics_table_values(&metrics_table[i]); k++)
            out->v[i][k] += read_number(&p->v[i][k]);
    for (unsigned i = 0; i <= METRICS_ROUTES_MAX; i++)
        if (atomic_load_explicit(&p->used[i], memory_order_relaxed))
            add_route(p, i, out);
    if (process < METRICS_POOLS && atomic_load(&p->runs)) {
        out->v[METRIC_POOL_WORKERS][process]++;
        out->v[METRIC_POOL_BUSY][process] += atomic_load(&p->busy);
    }
}

static void
read_quotas(const struct metrics_shared *shared, struct metrics_numbers *out)
{
    out->quotas_n = atomic_load(&shared->quotas_n);
    for (unsigned i = 0; i < out->quotas_n; i++) {
        memcpy(out->quotas[i].pattern, shared->quotas[i].pattern, METRICS_PATTERN_MAX);
        out->quotas[i].used = atomic_load(&shared->quotas[i].used);
        out->quotas[i].limit = atomic_load(&shared->quotas[i].limit);
    }
    out->known[METRIC_QUOTA_USED] = out->known[METRIC_QUOTA_LIMIT] = out->quotas_n > 0;
}

/* A keeper may have died while it wrote: then they are not known until the next one has. */
static void
read_node_numbers(struct metrics_shared *shared, struct metrics_numbers *out)
{
    for (int i = 0; i < READ_TRIES; i++) {
        unsigned version = atomic_load(&shared->nodes_version);

        out->nodes_n = atomic_load(&shared->nodes_n);
        memcpy(out->nodes, shared->nodes, sizeof out->nodes);
        atomic_thread_fence(memory_order_acquire);
        if (version % 2 == 0 && version == atomic_load(&shared->nodes_version))
            break;
        out->nodes_n = 0;
    }
    out->known[METRIC_NODE_SEEN] = out->known[METRIC_NODE_SKEW] = out->nodes_n > 0;
}

void
metrics_read(const struct metrics *m, struct metrics_numbers *out)
{
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < m->n; i++)
        sum_up_place(&m->shared->places[i], out);
    for (unsigned i = METRIC_COUNTED; i < METRIC_TOLD; i++) {
        out->known[i] = atomic_load(&m->shared->told[i].known);
        out->v[i][0] = atomic_load(&m->shared->told[i].v);
    }
    for (unsigned i = 0; i < METRIC_COUNTED; i++)
        out->known[i] = true;
    out->known[METRIC_POOL_WORKERS] = out->known[METRIC_POOL_BUSY] = true;
    read_quotas(m->shared, out);
    read_node_numbers(m->shared, out);
    out->known[METRIC_REQUESTS] = out->known[METRIC_DURATION] = true;
}
