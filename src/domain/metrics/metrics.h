#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "domain/metrics/metrics_table.h"
#include "domain/metrics/readiness.h"
#include "util/err.h"

/* Numbers in memory that all processes of a server share, made before the first fork. A process
 * only changes its own place, which has cache lines of its own, so counting needs no lock and no
 * waiting. A place belongs to a slot of the master's table of processes: the next process in it
 * goes on with the counts of the one that died. Readers add up all places. */

struct metrics_shared;
struct metrics_place;

struct metrics {
    struct metrics_shared *shared;
    unsigned n; /* places */
};

int metrics_make(struct metrics *m, unsigned places, struct err *err);
void metrics_close(struct metrics *m);
/* place: less than `places`. */
struct metrics_place *metrics_place_of(const struct metrics *m, unsigned place);

/* In all of the following, p or m may be NULL: then nothing is counted. */

/* The master calls these when a process is started in a place, and when it has died. A worker is
 * counted by its pool. */
void metrics_enter(struct metrics_place *p, enum metrics_process process);
void metrics_leave(struct metrics_place *p);

/* ---- what processes do ---- */

/* Adds n to a counted metric. value: of all combinations of its labels, the last label running
 * fastest; 0 without labels. */
void metrics_count(struct metrics_place *p, enum metric metric, unsigned value, uint64_t n);

/* A worker has a request, or none any more. */
void metrics_busy(struct metrics_place *p, bool busy);

/* A request that was answered. route: the number of its row from 1 on; 0: there is none. method:
 * the number of its bit in enum http_method. is_second: of the methods of the row, it isn't the
 * lowest. */
#define METRICS_ROUTES_MAX 96
#define METRICS_METHODS 8
struct metrics_request {
    unsigned route, method;
    bool is_second;
    int status;
    uint64_t us, received, sent;
};
void metrics_request(struct metrics_place *p, const struct metrics_request *r);

/* The keeper sets the value of a metric that is told. */
void metrics_tell(const struct metrics *m, enum metric metric, uint64_t value);

/* The keeper tells each quota, i from 0 on, and then their number. Those beyond METRICS_QUOTAS_MAX
 * are left out; a longer pattern is cut. */
#define METRICS_QUOTAS_MAX 64
#define METRICS_PATTERN_MAX 256 /* with the NUL */
void metrics_tell_quota(const struct metrics *m, unsigned i, const char *pattern, uint64_t used,
                        uint64_t limit);
void metrics_tell_quotas(const struct metrics *m, unsigned n);

/* Likewise each node of the database (--database), and their number. */
#define METRICS_NODES_MAX 64
#define METRICS_HOST_MAX 65
struct metrics_node {
    uint32_t number;
    bool is_self, is_stopped, leads;
    uint64_t seen_ms; /* its last heartbeat, clock_wall_ms() */
    int64_t skew_ms;  /* how far its clock is ahead of the database's */
    char host[METRICS_HOST_MAX];
    char version[33];
};
void metrics_tell_node(const struct metrics *m, unsigned i, const struct metrics_node *node);
void metrics_tell_nodes(const struct metrics *m, unsigned n);

/* With a clock that differs more from the database's, a node may not write beside others. */
#define METRICS_SKEW_MAX_MS 30000
/* The clock of this node, as the keeper has just measured it. is_judged: other nodes live. skew_ms:
 * how far it is ahead of the database's. lag_ms: how far the clock of another node, which may have
 * given a lease, is behind this one. */
void metrics_tell_clock(const struct metrics *m, bool is_judged, int64_t skew_ms, uint64_t lag_ms);
/* Is it wrong now? A clock that is set afterwards is noticed, too. */
bool metrics_is_clock_wrong(const struct metrics *m);
uint64_t metrics_clock_lag(const struct metrics *m);

/* The listening socket of a pool, by its descriptor; set before the first fork. */
void metrics_set_socket(const struct metrics *m, unsigned pool, int fd);
ino_t metrics_socket(const struct metrics *m, unsigned pool);
/* When metrics_make was called: clock_wall_ms(). */
uint64_t metrics_started(const struct metrics *m);

/* For what decides whether the server is ready. */
struct readiness *metrics_readiness(const struct metrics *m);

/* ---- all numbers at a moment ---- */

/* Upper bounds of the buckets of a duration, in microseconds; a further bucket has no bound. */
#define METRICS_BOUNDS 18
extern const uint64_t metrics_bounds_us[METRICS_BOUNDS];

#define METRICS_STATUSES 32
extern const int metrics_statuses[METRICS_STATUSES]; /* 0 at the end: any other */

/* Without a route: by method. Then two for each route. */
#define METRICS_KINDS (METRICS_METHODS + 2 * METRICS_ROUTES_MAX)

struct metrics_numbers {
    bool known[METRIC_COUNT];
    uint64_t v[METRIC_COUNT][METRICS_LABELS_MAX];
    uint64_t requests[METRICS_KINDS][METRICS_STATUSES];
    uint64_t durations[1 + METRICS_ROUTES_MAX][METRICS_BOUNDS + 1];
    uint64_t sum_us[1 + METRICS_ROUTES_MAX];
    unsigned quotas_n;
    struct metrics_quota {
        char pattern[METRICS_PATTERN_MAX];
        uint64_t used, limit;
    } quotas[METRICS_QUOTAS_MAX];
    unsigned nodes_n;
    struct metrics_node nodes[METRICS_NODES_MAX];
};

/* Reads all that is counted and told, and the workers of each pool; the rest is zero and not
 * known. Takes the same time however large the store is. */
void metrics_read(const struct metrics *m, struct metrics_numbers *out);
