#include "process/commands/stat_screen.h"
#include <unistd.h>
#include "process/commands/progress.h"
#include "storage/kv/kv_nodes.h"
#include "util/clock.h"

/* A disk with less than this part free is a trouble. */
#define DISK_PART 10

struct screen {
    FILE *to;
    const struct stat_numbers *n, *before;
    bool has_colour;
    unsigned troubles;
};

static uint64_t
metric_value(const struct screen *s, enum metric metric, unsigned value)
{
    return s->n->m.v[metric][value];
}

static bool
is_known(const struct screen *s, enum metric metric)
{
    return s->n->m.known[metric];
}

/* ---- texts ---- */

static const char *
if_colour(const struct screen *s, const char *sequence)
{
    return s->has_colour ? sequence : "";
}

#define AGE_MAX 32

/* "3 s", "5 min", "2 h", "4 days". */
static void
age_text(char out[AGE_MAX], uint64_t ms)
{
    uint64_t s = ms / 1000;

    if (s < 120)
        snprintf(out, AGE_MAX, "%llu s", (unsigned long long)s);
    else if (s < 7200)
        snprintf(out, AGE_MAX, "%llu min", (unsigned long long)s / 60);
    else if (s < 172800)
        snprintf(out, AGE_MAX, "%llu h", (unsigned long long)s / 3600);
    else /* two at least */
        snprintf(out, AGE_MAX, "%llu days", (unsigned long long)s / 86400);
}

/* How long ago that time was, or "never". */
static void
since_text(char out[AGE_MAX], const struct screen *s, enum metric metric)
{
    char age[AGE_MAX];
    uint64_t then = metric_value(s, metric, 0);
    uint64_t ms = s->n->at > then ? s->n->at - then : 0;

    if (!is_known(s, metric)) {
        snprintf(out, AGE_MAX, "never");
        return;
    }
    age_text(age, ms);
    snprintf(out, AGE_MAX, "%.20s ago", age);
}

static void
print_count(const struct screen *s, const char *name, enum metric metric)
{
    if (is_known(s, metric))
        fprintf(s->to, "  %-22s %12llu", name, (unsigned long long)metric_value(s, metric, 0));
    else
        fprintf(s->to, "  %-22s %12s", name, "?");
}

static void
print_size(const struct screen *s, const char *name, enum metric metric)
{
    char size[PROGRESS_SIZE_MAX] = "?";

    if (is_known(s, metric))
        progress_size(size, metric_value(s, metric, 0));
    fprintf(s->to, "  %-22s %12s\n", name, size);
}

/* ---- parts of the screen ---- */

static void
print_store(const struct screen *s)
{
    char size[PROGRESS_SIZE_MAX], text[AGE_MAX];

    command_print_heading(s->to, "Contents", s->has_colour);
    print_count(s, "repositories", METRIC_REPOSITORIES);
    fputc('\n', s->to);
    print_count(s, "tags", METRIC_TAGS);
    fputc('\n', s->to);
    print_count(s, "blobs", METRIC_BLOBS);
    if (is_known(s, METRIC_BLOB_BYTES)) {
        progress_size(size, metric_value(s, METRIC_BLOB_BYTES, 0));
        since_text(text, s, METRIC_COUNTED_AT);
        fprintf(s->to, " %12s   counted %s", size, text);
    }
    fputc('\n', s->to);
    print_size(s, "saved by sharing", METRIC_SHARED_BYTES);
    print_count(s, "uploads open", METRIC_UPLOADS);
    since_text(text, s, METRIC_BACKUP_AT);
    fprintf(s->to, "\n  %-22s %12s\n", "last backup", text);
}

static void
print_queues(const struct screen *s)
{
    char text[AGE_MAX];

    command_print_heading(s->to, "Waiting", s->has_colour);
    print_count(s, "events", METRIC_EVENTS_WAITING);
    fputc('\n', s->to);
    print_count(s, "hooks", METRIC_HOOKS_WAITING);
    fprintf(s->to,
            metric_value(s, METRIC_HOOKS_RUNNING, 0) == 1 ? "   %llu runs\n" : "   %llu run\n",
            (unsigned long long)metric_value(s, METRIC_HOOKS_RUNNING, 0));
    print_count(s, "images to be indexed", METRIC_INDEX_WAITING);
    fprintf(s->to,
            metric_value(s, METRIC_INDEX_RUNNING, 0) == 1 ? "   %llu process\n"
                                                          : "   %llu processes\n",
            (unsigned long long)metric_value(s, METRIC_INDEX_RUNNING, 0));
    print_count(s, "garbage", METRIC_GARBAGE_WAITING);
    if (is_known(s, METRIC_GARBAGE_AT)) {
        since_text(text, s, METRIC_GARBAGE_AT);
        fprintf(s->to, "   none was left %s", text);
    }
    fputc('\n', s->to);
}

static void
print_pools(const struct screen *s)
{
    const struct metrics_label *pool = &metrics_table[METRIC_POOL_WORKERS].labels[0];
    size_t length;

    command_print_heading(s->to, "Workers                     run     busy  waiting",
                          s->has_colour);
    for (unsigned i = 0; i < METRICS_POOLS; i++) {
        const char *name = metrics_table_label(pool, i, &length);

        fprintf(s->to, "  %-18.*s %10llu %8llu", (int)length, name,
                (unsigned long long)metric_value(s, METRIC_POOL_WORKERS, i),
                (unsigned long long)metric_value(s, METRIC_POOL_BUSY, i));
        if (is_known(s, METRIC_POOL_WAITING))
            fprintf(s->to, " %8llu\n", (unsigned long long)metric_value(s, METRIC_POOL_WAITING, i));
        else
            fprintf(s->to, " %8s\n", "?");
    }
}

static bool
is_node_alive(const struct screen *s, const struct metrics_node *node)
{
    return !node->is_stopped &&
           (s->n->at < node->seen_ms || s->n->at - node->seen_ms < KV_NODE_DEAD_MS);
}

static void
print_nodes(const struct screen *s)
{
    char age[AGE_MAX], name[32];

    if (s->n->m.nodes_n == 0)
        return;
    command_print_heading(s->to, "Nodes of the database        heartbeat     clock  host",
                          s->has_colour);
    for (unsigned i = 0; i < s->n->m.nodes_n; i++) {
        const struct metrics_node *n = &s->n->m.nodes[i];

        snprintf(name, sizeof name, "%u %s%s", n->number,
                 n->is_stopped          ? "stopped"
                 : !is_node_alive(s, n) ? "is dead"
                 : n->leads             ? "leads"
                                        : "follows",
                 n->is_self ? " (this one)" : "");
        age_text(age, s->n->at > n->seen_ms ? s->n->at - n->seen_ms : 0);
        fprintf(s->to, "  %-20s %11s ago %+6.1f s  %s\n", name, age, (double)n->skew_ms / 1000,
                n->host);
    }
}

static void
print_requests(const struct screen *s)
{
    static const char *const names[] = {"good", "sent elsewhere", "refused", "failed"};
    uint64_t ms = s->before != NULL ? s->n->at - s->before->at : 0;

    command_print_heading(s->to, "Requests since the start", s->has_colour);
    for (int class = 2; class <= 5; class ++) {
        uint64_t n = stat_numbers_requests(s->n, class);

        fprintf(s->to, "  %-15s (%dxx)  %12llu", names[class - 2], class, (unsigned long long)n);
        if (ms > 0)
            fprintf(s->to, "   %.1f a second",
                    (double)(n - stat_numbers_requests(s->before, class)) * 1000 / (double)ms);
        fputc('\n', s->to);
    }
    print_size(s, "received", METRIC_RECEIVED_BYTES);
    print_size(s, "sent", METRIC_SENT_BYTES);
}

static void
print_disk(const struct screen *s)
{
    char room[PROGRESS_SIZE_MAX], size[PROGRESS_SIZE_MAX];

    progress_size(room, metric_value(s, METRIC_DISK_FREE, 0));
    progress_size(size, metric_value(s, METRIC_DISK_SIZE, 0));
    command_print_heading(s->to, "Disk", s->has_colour);
    fprintf(s->to, "  %-22s %12s   of %s\n", "free", room, size);
}

/* ---- what is wrong ---- */

static void
print_trouble(struct screen *s, const char *text)
{
    if (s->troubles++ == 0)
        command_print_heading(s->to, "What is wrong", s->has_colour);
    fprintf(s->to, "  %s%s%s\n", if_colour(s, "\033[31m"), text, if_colour(s, "\033[0m"));
}

static void
print_trouble_count(struct screen *s, uint64_t n, const char *one, const char *several,
                    const char *advice)
{
    char text[128];

    snprintf(text, sizeof text, "%llu %s: %s", (unsigned long long)n, n == 1 ? one : several,
             advice);
    if (n > 0)
        print_trouble(s, text);
}

static void
print_troubles(struct screen *s)
{
    uint64_t hooks = 0, crashes = 0;
    char text[READINESS_WHY_MAX + 32];

    for (int i = 0; s->n->is_running && i < READINESS_PARTS; i++) {
        if (s->n->parts[i].is_well)
            continue;
        snprintf(text, sizeof text, "%s: %s", readiness_name((enum readiness_part)i),
                 s->n->parts[i].why);
        print_trouble(s, text);
    }
    for (unsigned i = 0; i <= METRICS_HOOK_UNKNOWN; i++)
        hooks += metric_value(s, METRIC_HOOK_RUNS, i * METRICS_RESULTS + METRICS_FAILED);
    for (unsigned i = 0; i < METRICS_COMMAND; i++)
        crashes += metric_value(s, METRIC_RESTARTS, i * METRICS_REASONS + METRICS_CRASH);
    if (metric_value(s, METRIC_DISK_FREE, 0) < metric_value(s, METRIC_DISK_SIZE, 0) / DISK_PART)
        print_trouble(s, "the disk is almost full");
    print_trouble_count(s, metric_value(s, METRIC_SCRUBBED, METRICS_FAILED),
                        "damaged blob was found", "damaged blobs were found",
                        "docker-registry-server fsck");
    print_trouble_count(s, hooks, "run of a hook has failed", "runs of hooks have failed",
                        "docker-registry-server hooks");
    print_trouble_count(s, crashes, "process has died", "processes have died", "see the log");
    print_trouble_count(s, stat_numbers_requests(s->n, 5), "request has failed",
                        "requests have failed", "see the log");
    if (s->troubles == 0)
        command_print_heading(s->to, "Nothing is wrong", s->has_colour);
}

/* ---- the whole ---- */

const char *
stat_screen_style(void)
{
    const char *term = getenv("TERM"), *no = getenv("NO_COLOR");
    bool has = isatty(STDOUT_FILENO) == 1 && (no == NULL || *no == '\0') && term != NULL &&
               strcmp(term, "dumb") != 0;

    return has ? STAT_SCREEN_COLOUR : "plain";
}

void
stat_screen_print(FILE *to, const struct stat_numbers *n, const struct stat_numbers *before,
                  bool has_colour)
{
    struct screen s = {to, n, before, has_colour, 0};
    char age[AGE_MAX] = "";

    if (n->is_running)
        age_text(age, n->at > metric_value(&s, METRIC_START, 0)
                          ? n->at - metric_value(&s, METRIC_START, 0)
                          : 0);
    fprintf(to, "docker-registry-server %s, %s%s\n", PACKAGE_VERSION,
            n->is_running ? "running for " : "not running", age);
    print_store(&s);
    if (n->is_running) {
        print_queues(&s);
        print_pools(&s);
    }
    print_nodes(&s);
    if (n->is_running)
        print_requests(&s);
    print_disk(&s);
    print_troubles(&s);
}

/* ---- JSON ---- */

static struct json *
json_of_values(const struct metrics_row *row, const uint64_t *v)
{
    struct json *all = json_new_object();
    const struct metrics_label *l = row->labels;
    unsigned below = 1;
    size_t length;
    char name[64];

    if (l[1].name != NULL) {
        const struct metrics_row second = {.labels = {l[1]}};

        below = metrics_table_values(&second);
        for (unsigned i = 0; i < metrics_table_values(row) / below; i++) {
            const char *text = metrics_table_label(&l[0], i, &length);

            snprintf(name, sizeof name, "%.*s", (int)length, text);
            json_set(all, name, json_of_values(&second, v + i * below));
        }
        return all;
    }
    for (unsigned i = 0; i < metrics_table_values(row); i++) {
        const char *text = metrics_table_label(&l[0], i, &length);

        snprintf(name, sizeof name, "%.*s", (int)length, text);
        json_set_u64(all, name, v[i]);
    }
    return all;
}

static struct json *
json_of_quotas(const struct metrics_numbers *m, bool is_used)
{
    struct json *all = json_new_object();

    for (unsigned i = 0; i < m->quotas_n; i++)
        json_set_u64(all, m->quotas[i].pattern, is_used ? m->quotas[i].used : m->quotas[i].limit);
    return all;
}

static struct json *
json_of_nodes(const struct screen *s)
{
    struct json *all = json_new_array();
    char time[CLOCK_RFC3339_MAX];

    for (unsigned i = 0; i < s->n->m.nodes_n; i++) {
        const struct metrics_node *n = &s->n->m.nodes[i];
        struct json *one = json_new_object();

        clock_rfc3339(time, n->seen_ms);
        json_set_u64(one, "node", n->number);
        json_set_string(one, "host", n->host);
        json_set_string(one, "version", n->version);
        json_set_string(one, "state",
                        n->is_stopped         ? "stopped"
                        : is_node_alive(s, n) ? "alive"
                                              : "dead");
        json_set_bool(one, "leads", n->leads && is_node_alive(s, n));
        json_set_bool(one, "self", n->is_self);
        json_set_string(one, "heartbeat", time);
        json_set_i64(one, "clock_skew_ms", n->skew_ms);
        json_add(all, one);
    }
    return all;
}

/* Times of day as RFC 3339, the rest as numbers. */
static void
set_metric(struct json *to, enum metric metric, const struct stat_numbers *n)
{
    const struct metrics_row *row = &metrics_table[metric];
    char time[CLOCK_RFC3339_MAX];

    if (row->per_unit == 1000) {
        clock_rfc3339(time, n->m.v[metric][0]);
        json_set_string(to, row->name, time);
    } else if (row->labels[0].name == NULL) {
        json_set_u64(to, row->name, n->m.v[metric][0]);
    } else if (metric == METRIC_QUOTA_USED || metric == METRIC_QUOTA_LIMIT) {
        json_set(to, row->name, json_of_quotas(&n->m, metric == METRIC_QUOTA_USED));
    } else {
        json_set(to, row->name, json_of_values(row, n->m.v[metric]));
    }
}

struct json *
stat_screen_json(const struct stat_numbers *n)
{
    struct json *all = json_new_object(), *parts = json_new_object();
    struct json *numbers = json_new_object(), *requests = json_new_object();
    const struct screen s = {.n = n};
    char class_name[8];

    json_set_string(all, "version", PACKAGE_VERSION);
    json_set_bool(all, "running", n->is_running);
    for (int i = 0; n->is_running && i < READINESS_PARTS; i++)
        json_set_string(parts, readiness_name((enum readiness_part)i),
                        n->parts[i].is_well ? "ok" : n->parts[i].why);
    json_set(all, "parts", parts);
    for (unsigned i = 0; i < METRIC_COUNT; i++)
        if (n->m.known[i] && i != METRIC_REQUESTS && i != METRIC_DURATION && i != METRIC_BUILD &&
            i != METRIC_NODE_SEEN && i != METRIC_NODE_SKEW) /* they are in "nodes" */
            set_metric(numbers, (enum metric)i, n);
    for (int class = 2; n->is_running && class <= 5; class ++) {
        snprintf(class_name, sizeof class_name, "%dxx", class);
        json_set_u64(requests, class_name, stat_numbers_requests(n, class));
    }
    if (n->is_running)
        json_set(numbers, "requests_total", requests);
    else
        json_free(requests);
    json_set(all, "metrics", numbers);
    if (n->m.nodes_n > 0)
        json_set(all, "nodes", json_of_nodes(&s));
    return all;
}
