#include "domain/metrics/metrics_text.h"
#include <string.h>

static const char *const method_labels[METRICS_METHODS] = {"GET",   "HEAD",   "PUT",     "POST",
                                                           "PATCH", "DELETE", "OPTIONS", "other"};

static const char *const type_names[] = {
    [METRICS_COUNTER] = "counter", [METRICS_GAUGE] = "gauge", [METRICS_HISTOGRAM] = "histogram"};

static void
put_name(struct buf *out, const struct metrics_row *row, const char *suffix)
{
    buf_putf(out, "registry_%s%s", row->name, suffix);
}

static void
put_head(struct buf *out, const struct metrics_row *row)
{
    buf_putf(out, "# HELP registry_%s %s\n# TYPE registry_%s %s\n", row->name, row->help, row->name,
             type_names[row->type]);
}

/* The value in the unit of its name. */
static void
put_number(struct buf *out, uint64_t value, unsigned per_unit)
{
    int digits = per_unit >= 1000000 ? 6 : 3;

    if (per_unit == 0)
        buf_putf(out, " %llu\n", (unsigned long long)value);
    else
        buf_putf(out, " %llu.%0*llu\n", (unsigned long long)(value / per_unit), digits,
                 (unsigned long long)(value % per_unit));
}

/* ---- metrics with a fixed list of labels ---- */

/* The labels of a combination: the last one runs fastest. */
static void
put_labels(struct buf *out, const struct metrics_row *row, unsigned value)
{
    const struct metrics_label *l = row->labels;
    size_t n;

    if (l[0].name == NULL)
        return;
    for (unsigned i = 0; i < 3 && l[i].name != NULL; i++) {
        struct metrics_row rest = {0};
        unsigned below;
        const char *text;

        for (unsigned k = i + 1; k < 3; k++)
            rest.labels[k - i - 1] = l[k];
        below = metrics_table_values(&rest);
        text = metrics_table_label(&l[i], value / below, &n);
        value %= below;
        buf_putf(out, "%c%s=\"%.*s\"", i == 0 ? '{' : ',', l[i].name, (int)n, text);
    }
    buf_putc(out, '}');
}

static void
put_listed(struct buf *out, const struct metrics_row *row, const uint64_t *v)
{
    for (unsigned i = 0; i < metrics_table_values(row); i++) {
        put_name(out, row, "");
        put_labels(out, row, i);
        put_number(out, v[i], row->per_unit);
    }
}

/* ---- requests ---- */

/* Several rows of the table of routes can have one label: they differ in methods or in a parameter.
 * The label of route 0, that is of no row, is "none". */
static struct bytes
label_of_route(const struct metrics_routes *routes, unsigned route)
{
    const char *pattern;

    if (route == 0)
        return bytes_str("none");
    pattern = routes->pattern(routes->table, route - 1);
    return bytes_of(pattern, strcspn(pattern, "?"));
}

/* Is this the first row with its label? */
static bool
begins_label(const struct metrics_routes *routes, unsigned route)
{
    struct bytes label = label_of_route(routes, route);

    for (unsigned i = 0; i < route; i++)
        if (bytes_equal(label_of_route(routes, i), label))
            return false;
    return true;
}

static bool
has_label(const struct metrics_routes *routes, unsigned route, struct bytes label)
{
    return bytes_equal(label_of_route(routes, route), label);
}

/* Adds the requests of one row with this method. */
static void
add_requests(const struct metrics_numbers *v, const struct metrics_routes *routes, unsigned route,
             unsigned method, uint64_t sum[METRICS_STATUSES])
{
    unsigned methods = route == 0 ? 0 : routes->methods(routes->table, route - 1);
    unsigned kind = method;

    if (route > 0 && (methods & 1u << method) == 0)
        return;
    if (route > 0)
        kind = METRICS_METHODS + 2 * (route - 1) + ((methods & ((1u << method) - 1)) != 0);
    for (unsigned i = 0; i < METRICS_STATUSES; i++)
        sum[i] += v->requests[kind][i];
}

static void
put_requests_of(struct buf *out, const struct metrics_numbers *v,
                const struct metrics_routes *routes, unsigned first, unsigned method)
{
    struct bytes label = label_of_route(routes, first);
    uint64_t sum[METRICS_STATUSES] = {0};
    char status[16];

    for (unsigned i = first; i <= routes->n; i++)
        if (has_label(routes, i, label))
            add_requests(v, routes, i, method, sum);
    for (unsigned i = 0; i < METRICS_STATUSES; i++) {
        if (sum[i] == 0)
            continue;
        snprintf(status, sizeof status, metrics_statuses[i] != 0 ? "%d" : "other",
                 metrics_statuses[i]);
        put_name(out, &metrics_table[METRIC_REQUESTS], "");
        buf_putf(out, "{route=\"%.*s\",method=\"%s\",status=\"%s\"} %llu\n", (int)label.n,
                 (const char *)label.p, method_labels[method], status, (unsigned long long)sum[i]);
    }
}

static void
put_requests(struct buf *out, const struct metrics_numbers *v, const struct metrics_routes *routes)
{
    for (unsigned route = 0; route <= routes->n; route++)
        if (begins_label(routes, route))
            for (unsigned method = 0; method < METRICS_METHODS; method++)
                put_requests_of(out, v, routes, route, method);
}

/* ---- histograms ---- */

/* "0.0001", "60": without zeros at the end. */
static void
put_bound(struct buf *out, uint64_t us)
{
    char text[32];
    size_t n = (size_t)snprintf(text, sizeof text, "%llu.%06llu", (unsigned long long)us / 1000000,
                                (unsigned long long)us % 1000000);

    while (text[n - 1] == '0')
        n--;
    if (text[n - 1] == '.')
        n--;
    buf_put(out, text, n);
}

static void
put_duration(struct buf *out, struct bytes label, const uint64_t buckets[METRICS_BOUNDS + 1],
             uint64_t sum_us)
{
    const struct metrics_row *row = &metrics_table[METRIC_DURATION];
    uint64_t n = 0;

    for (unsigned i = 0; i <= METRICS_BOUNDS; i++) {
        n += buckets[i];
        put_name(out, row, "_bucket");
        buf_putf(out, "{route=\"%.*s\",le=\"", (int)label.n, (const char *)label.p);
        if (i < METRICS_BOUNDS)
            put_bound(out, metrics_bounds_us[i]);
        else
            buf_puts(out, "+Inf");
        buf_putf(out, "\"} %llu\n", (unsigned long long)n);
    }
    put_name(out, row, "_sum");
    buf_putf(out, "{route=\"%.*s\"}", (int)label.n, (const char *)label.p);
    put_number(out, sum_us, row->per_unit);
    put_name(out, row, "_count");
    buf_putf(out, "{route=\"%.*s\"} %llu\n", (int)label.n, (const char *)label.p,
             (unsigned long long)n);
}

static void
put_durations(struct buf *out, const struct metrics_numbers *v, const struct metrics_routes *routes)
{
    for (unsigned route = 0; route <= routes->n; route++) {
        struct bytes label = label_of_route(routes, route);
        uint64_t sum[METRICS_BOUNDS + 1] = {0}, sum_us = 0, n = 0;

        if (!begins_label(routes, route))
            continue;
        for (unsigned i = route; i <= routes->n; i++)
            if (has_label(routes, i, label)) {
                for (unsigned k = 0; k <= METRICS_BOUNDS; k++)
                    n += v->durations[i][k], sum[k] += v->durations[i][k];
                sum_us += v->sum_us[i];
            }
        if (n > 0)
            put_duration(out, label, sum, sum_us);
    }
}

/* ---- quotas ---- */

/* A label's value as the format wants it. */
static void
put_escaped_label(struct buf *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            buf_putc(out, '\\');
        buf_putc(out, *p);
    }
}

static void
put_quotas(struct buf *out, const struct metrics_numbers *v, const struct metrics_row *row,
           bool is_used)
{
    for (unsigned i = 0; i < v->quotas_n; i++) {
        put_name(out, row, "{pattern=\"");
        put_escaped_label(out, v->quotas[i].pattern);
        buf_puts(out, "\"}");
        put_number(out, is_used ? v->quotas[i].used : v->quotas[i].limit, 0);
    }
}

/* ---- nodes ---- */

/* A node that was stopped is missed by nobody. */
static void
put_nodes(struct buf *out, const struct metrics_numbers *v, const struct metrics_row *row,
          bool is_skew)
{
    for (unsigned i = 0; i < v->nodes_n; i++) {
        const struct metrics_node *n = &v->nodes[i];
        int64_t off = n->skew_ms < 0 ? -n->skew_ms : n->skew_ms;

        if (n->is_stopped)
            continue;
        put_name(out, row, "");
        buf_putf(out, "{node=\"%u\",host=\"", n->number);
        put_escaped_label(out, n->host);
        buf_puts(out, "\"}");
        put_number(out, is_skew ? (uint64_t)off : n->seen_ms, row->per_unit);
    }
}

/* ---- the whole ---- */

void
metrics_text(const struct metrics_numbers *v, const struct metrics_routes *routes, struct buf *out)
{
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        const struct metrics_row *row = &metrics_table[i];

        if (!v->known[i])
            continue;
        put_head(out, row);
        if (i == METRIC_REQUESTS) {
            put_requests(out, v, routes);
        } else if (i == METRIC_DURATION) {
            put_durations(out, v, routes);
        } else if (i == METRIC_QUOTA_USED || i == METRIC_QUOTA_LIMIT) {
            put_quotas(out, v, row, i == METRIC_QUOTA_USED);
        } else if (i == METRIC_NODE_SEEN || i == METRIC_NODE_SKEW) {
            put_nodes(out, v, row, i == METRIC_NODE_SKEW);
        } else if (i == METRIC_BUILD) {
            put_name(out, row, "");
            buf_putf(out, "{version=\"%s\"} 1\n", PACKAGE_VERSION);
        } else {
            put_listed(out, row, v->v[i]);
        }
    }
}
