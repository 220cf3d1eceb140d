#include "domain/metrics/metrics_table.h"
#include <string.h>

#define POOLS "api bulk gate list browse status"
/* In the order of enum hook, and METRICS_HOOK_UNKNOWN. */
#define HOOKS "image layer verify index tag untag manifest delete damage pre-tag pre-delete unknown"

#define COUNTER METRICS_COUNTER
#define GAUGE METRICS_GAUGE

/* Those with the number of a unit per_unit are kept in thousandths of a second. */
const struct metrics_row metrics_table[METRIC_COUNT] = {
    [METRIC_REQUESTS] = {"requests_total",
                         COUNTER,
                         "Requests that a worker has answered.",
                         {{"route", NULL}, {"method", NULL}, {"status", NULL}}},
    [METRIC_DURATION] = {"request_duration_seconds",
                         METRICS_HISTOGRAM,
                         "Time from the request's arrival at a worker to its answer.",
                         {{"route", NULL}},
                         1000000},
    [METRIC_RECEIVED_BYTES] = {"received_bytes_total", COUNTER, "Bytes of bodies of requests."},
    [METRIC_SENT_BYTES] = {"sent_bytes_total", COUNTER,
                           "Bytes of bodies of answers; a file that nginx sends counts whole."},
    [METRIC_TOKENS] = {"tokens_issued_total", COUNTER,
                       "Access tokens that /v2/_token gave to clients."},
    [METRIC_LOGINS_FAILED] = {"logins_failed_total", COUNTER,
                              "Requests with a wrong password or an unknown user."},

    [METRIC_READY] = {"ready", GAUGE, "1 if /readyz answers 200, else 0."},
    [METRIC_POOL_WORKERS] = {"pool_workers", GAUGE, "Workers that run.", {{"pool", POOLS}}},
    [METRIC_POOL_BUSY] = {"pool_busy", GAUGE, "Workers with a request.", {{"pool", POOLS}}},
    [METRIC_POOL_WAITING] = {"pool_waiting",
                             GAUGE,
                             "Connections that no worker has accepted yet.",
                             {{"pool", POOLS}}},
    [METRIC_RESTARTS] = {"process_restarts_total",
                         COUNTER,
                         "Processes that ended and were started again.",
                         {{"process", POOLS " keeper herald nginx"}, {"reason", "planned crash"}}},
    [METRIC_RECOVERIES] = {"database_recoveries_total", COUNTER,
                           "Recoveries of the database, that of the start included."},

    [METRIC_REPOSITORIES] = {"repositories", GAUGE, "Repositories."},
    [METRIC_TAGS] = {"tags", GAUGE, "Tags of all repositories."},
    [METRIC_BLOBS] = {"blobs", GAUGE, "Blobs: layers, configs and large manifests."},
    [METRIC_BLOB_BYTES] = {"blob_bytes", GAUGE, "Bytes of all blobs."},
    [METRIC_SHARED_BYTES] = {"shared_bytes", GAUGE,
                             "Bytes more, if each repository had its own copy of its blobs."},
    [METRIC_COUNTED_AT] = {"counted_timestamp_seconds",
                           GAUGE,
                           "When tags, blobs and their bytes were counted last.",
                           {{NULL}},
                           1000},
    [METRIC_UPLOADS] = {"uploads_open", GAUGE, "Uploads that are in progress."},

    [METRIC_EVENTS_WAITING] = {"events_waiting", GAUGE, "Events that listeners don't have yet."},
    [METRIC_HOOKS_WAITING] = {"hooks_waiting", GAUGE, "Hooks that wait, those that run included."},
    [METRIC_HOOKS_RUNNING] = {"hooks_running", GAUGE, "Hooks that run."},
    [METRIC_HOOK_RUNS] = {"hook_runs_total",
                          COUNTER,
                          "Runs of hooks that have ended.",
                          {{"hook", HOOKS}, {"result", "ok failed"}}},
    [METRIC_INDEX_WAITING] = {"index_waiting", GAUGE,
                              "Images and layers that wait for their indexes, at most 10000."},
    [METRIC_INDEX_RUNNING] = {"index_running", GAUGE, "Processes that index layers."},
    [METRIC_LAYERS_INDEXED] = {"layers_indexed_total",
                               COUNTER,
                               "Layers that were indexed, or could not be.",
                               {{"result", "ok failed"}}},

    [METRIC_GARBAGE_WAITING] = {"garbage_waiting", GAUGE,
                                "Blobs and images to be looked at or removed now, at most 10000."},
    [METRIC_GARBAGE_FOUND] = {"garbage_found_total", COUNTER,
                              "Blobs that nothing kept, and whose records were deleted."},
    [METRIC_GARBAGE_FREED] = {"garbage_freed_total", COUNTER, "Files of such blobs, removed."},
    [METRIC_GARBAGE_FREED_BYTES] = {"garbage_freed_bytes_total", COUNTER, "Bytes of these files."},
    [METRIC_GARBAGE_AT] =
        {"garbage_timestamp_seconds", GAUGE, "When no garbage was left last.", {{NULL}}, 1000},

    [METRIC_SCRUBBED] = {"scrubbed_blobs_total",
                         COUNTER,
                         "Blobs that were read again, and those of them that are damaged.",
                         {{"result", "ok failed"}}},
    [METRIC_BACKUP_AT] =
        {"backup_timestamp_seconds", GAUGE, "When the last backup was complete.", {{NULL}}, 1000},

    [METRIC_SNAPSHOTS] = {"snapshots", GAUGE, "Snapshots of the database that are there."},
    [METRIC_SNAPSHOT_AT] =
        {"snapshot_timestamp_seconds", GAUGE, "When the newest of them was taken.", {{NULL}}, 1000},
    [METRIC_RETENTION_DELETED] = {"retention_deleted_tags_total", COUNTER,
                                  "Tags that the rules of retention have deleted."},
    [METRIC_RETENTION_AT] = {"retention_timestamp_seconds",
                             GAUGE,
                             "When the last round of retention ended.",
                             {{NULL}},
                             1000},
    [METRIC_QUOTA_USED] = {"quota_used_bytes",
                           GAUGE,
                           "Bytes that count for a quota, by its pattern.",
                           {{"pattern", NULL}}},
    [METRIC_QUOTA_LIMIT] = {"quota_limit_bytes",
                            GAUGE,
                            "The limit of that quota.",
                            {{"pattern", NULL}}},

    [METRIC_LEADER] = {"node_leads", GAUGE, "1 if this node leads, else 0."},
    [METRIC_NODE_SEEN] = {"node_heartbeat_timestamp_seconds",
                          GAUGE,
                          "When the database last heard of the node.",
                          {{"node", NULL}, {"host", NULL}},
                          1000},
    [METRIC_NODE_SKEW] = {"node_clock_skew_seconds",
                          GAUGE,
                          "How far the node's clock is from the database's, in either direction.",
                          {{"node", NULL}, {"host", NULL}},
                          1000},

    [METRIC_CACHE_HITS] = {"database_cache_hits_total", COUNTER,
                           "Pages of the database that were found in its cache."},
    [METRIC_CACHE_MISSES] = {"database_cache_misses_total", COUNTER,
                             "Pages that had to be read from the disk."},
    [METRIC_DEADLOCKS] = {"database_deadlocks_total", COUNTER,
                          "Conflicts in which a transaction was undone, to be tried again."},
    [METRIC_LOG_BYTES] = {"database_log_bytes_total", COUNTER,
                          "Bytes that were written to the database's log."},
    [METRIC_ROUND_TRIPS] = {"database_round_trips_total",
                            COUNTER,
                            "Answers of PostgreSQL that were waited for.",
                            {{"process", POOLS " keeper"}}},

    [METRIC_DISK_FREE] = {"disk_free_bytes", GAUGE, "Room on the disk of the data directory."},
    [METRIC_DISK_SIZE] = {"disk_size_bytes", GAUGE, "Size of that disk."},
    [METRIC_START] = {"start_time_seconds", GAUGE, "When the server was started.", {{NULL}}, 1000},
    [METRIC_BUILD] = {"build_info", GAUGE, "Always 1.", {{"version", NULL}}},
};

static unsigned
count_label_values(const struct metrics_label *label)
{
    unsigned n = 1;

    if (label->values == NULL)
        return 0;
    for (const char *p = label->values; *p != '\0'; p++)
        n += *p == ' ';
    return n;
}

unsigned
metrics_table_values(const struct metrics_row *row)
{
    unsigned n = 1;

    for (size_t i = 0; i < 3 && row->labels[i].name != NULL; i++)
        n *= count_label_values(&row->labels[i]);
    return n;
}

const char *
metrics_table_label(const struct metrics_label *label, unsigned i, size_t *n)
{
    const char *p = label->values;

    for (; i > 0; i--)
        p += strcspn(p, " ") + 1;
    *n = strcspn(p, " ");
    return p;
}
