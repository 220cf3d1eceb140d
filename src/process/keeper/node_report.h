#pragma once

#include "domain/metrics/readiness.h"
#include "domain/registry.h"
#include "process/server/server.h"

/* The keeper's heartbeat: it tells the database that this node lives, and /metrics, which nodes
 * there are. Without --database it does nothing. */
struct node_report {
    struct kv_node self;
    uint64_t beat_at;            /* when the next heartbeat is due, clock_mono_ms() */
    uint64_t key_at;             /* when the key of tokens is looked at, without other nodes */
    bool has_others;             /* other nodes live */
    int64_t lag_ms;              /* how far the clock of a node is behind this one's */
    bool may_not_lead;           /* since its clock is wrong, and others live */
    char why[READINESS_WHY_MAX]; /* what is wrong with this node; "": nothing */
};

/* Call it every few seconds. True if the database has just heard of this node. */
bool node_report_step(struct node_report *n, const struct server *s, const struct registry *reg);
/* The node stops. is_over: no hook runs any more. */
void node_report_end(struct node_report *n, const struct server *s, const struct registry *reg,
                     bool is_over);
