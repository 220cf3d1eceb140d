#pragma once

#include <stddef.h>
#include <stdint.h>

/* The table of metrics: what /metrics shows, and what the command stat reads. A new metric is a
 * number here, a row in metrics_table.c, a line in the manual (docker-registry-server-metrics.7),
 * and the place that counts or tells it. */

enum metric {
    /* Counted: each process adds to numbers of its own (metrics_count). */
    METRIC_RECEIVED_BYTES,
    METRIC_SENT_BYTES,
    METRIC_TOKENS,
    METRIC_LOGINS_FAILED,
    METRIC_HOOK_RUNS,
    METRIC_LAYERS_INDEXED,
    METRIC_GARBAGE_FOUND,
    METRIC_GARBAGE_FREED,
    METRIC_GARBAGE_FREED_BYTES,
    METRIC_SCRUBBED,
    METRIC_RETENTION_DELETED,
    METRIC_RESTARTS,
    METRIC_RECOVERIES,
    METRIC_ROUND_TRIPS,
    METRIC_COUNTED, /* their number */

    /* Told: the last value that the keeper has found out (metrics_tell). */
    METRIC_REPOSITORIES = METRIC_COUNTED,
    METRIC_TAGS,
    METRIC_BLOBS,
    METRIC_BLOB_BYTES,
    METRIC_SHARED_BYTES,
    METRIC_COUNTED_AT,
    METRIC_UPLOADS,
    METRIC_EVENTS_WAITING,
    METRIC_HOOKS_WAITING,
    METRIC_HOOKS_RUNNING,
    METRIC_INDEX_WAITING,
    METRIC_INDEX_RUNNING,
    METRIC_GARBAGE_WAITING,
    METRIC_GARBAGE_AT,
    METRIC_BACKUP_AT,
    METRIC_SNAPSHOTS,
    METRIC_SNAPSHOT_AT,
    METRIC_RETENTION_AT,
    METRIC_CACHE_HITS,
    METRIC_CACHE_MISSES,
    METRIC_DEADLOCKS,
    METRIC_LOG_BYTES,
    METRIC_LEADER,
    METRIC_TOLD, /* the number of all so far */

    /* Asked: found out when the metrics are read (metrics_ask). */
    METRIC_READY = METRIC_TOLD,
    METRIC_POOL_WORKERS,
    METRIC_POOL_BUSY,
    METRIC_POOL_WAITING,
    METRIC_DISK_FREE,
    METRIC_DISK_SIZE,
    METRIC_START,
    METRIC_BUILD,

    /* Of each quota (metrics_tell_quota). */
    METRIC_QUOTA_USED,
    METRIC_QUOTA_LIMIT,

    /* Of each node of the database (metrics_tell_node). */
    METRIC_NODE_SEEN,
    METRIC_NODE_SKEW,

    /* Of each request (metrics_request). */
    METRIC_REQUESTS,
    METRIC_DURATION,
    METRIC_COUNT,
};

enum metrics_type {
    METRICS_COUNTER,
    METRICS_GAUGE,
    METRICS_HISTOGRAM,
};

/* Values of all labels of a metric, at most. */
#define METRICS_LABELS_MAX 32

struct metrics_row {
    const char *name; /* without "registry_" */
    enum metrics_type type;
    const char *help;
    struct metrics_label {
        const char *name;   /* NULL: no such label */
        const char *values; /* in the order of their numbers, with blanks between them; NULL: others
                             * than a fixed list */
    } labels[3];
    unsigned per_unit; /* 1000: counted in thousandths of the unit in the name; 0: in that unit */
};

extern const struct metrics_row metrics_table[METRIC_COUNT];

/* The labels "process" and "pool": the first ones are the pools, in the order of enum pool_id. */
enum metrics_process {
    METRICS_POOLS = 6,
    METRICS_KEEPER = METRICS_POOLS,
    METRICS_HERALD,
    METRICS_NGINX,
    METRICS_COMMAND, /* has no label: a command isn't started again */
};

/* The label "reason" of METRIC_RESTARTS. */
enum metrics_reason {
    METRICS_PLANNED, /* after its last request */
    METRICS_CRASH,
    METRICS_REASONS,
};

/* The label "result". */
enum metrics_result {
    METRICS_OK,
    METRICS_FAILED,
    METRICS_RESULTS,
};

/* The label "hook", after those of enum hook: a keeper that was started while a hook ran doesn't
 * know which one it was. */
#define METRICS_HOOK_UNKNOWN 11

/* How many values the labels of the metric have together: 1 without labels, 0 if they aren't a
 * fixed list. */
unsigned metrics_table_values(const struct metrics_row *row);
/* The text of value i of a label, as n bytes that are not terminated. */
const char *metrics_table_label(const struct metrics_label *label, unsigned i, size_t *n);
