#include "process/keeper/node_report.h"
#include <stdlib.h>
#include <string.h>
#include "process/server/node.h"
#include "process/server/node_key.h"
#include "storage/kv/kv_nodes.h"
#include "util/clock.h"
#include "util/log.h"

#define BEAT_MS 3000
/* While no other node lives, nobody needs the key of tokens. */
#define KEY_EACH_MS 60000

/* A node with a larger one gives no leases beside others. */
static int64_t
bound_skew(int64_t skew_ms)
{
    return skew_ms > METRICS_SKEW_MAX_MS    ? METRICS_SKEW_MAX_MS
           : skew_ms < -METRICS_SKEW_MAX_MS ? -METRICS_SKEW_MAX_MS
                                            : skew_ms;
}

static int
tell_nodes(struct node_report *report, const struct server *s, struct kv *kv, struct err *err)
{
    int64_t self = bound_skew(report->self.skew_ms), lag;
    struct kv_node nodes[KV_NODES_MAX];
    struct metrics_node shown;
    size_t n;

    if (kv_node_list(kv, nodes, &n, err) != 0)
        return -1;
    report->has_others = false;
    report->lag_ms = 0;
    for (size_t i = 0; i < n; i++) {
        lag = strcmp(nodes[i].id, s->node.id) != 0 ? self - bound_skew(nodes[i].skew_ms) : 0;
        report->lag_ms = lag > report->lag_ms ? lag : report->lag_ms;
        report->has_others = report->has_others ||
                             (kv_node_is_alive(&nodes[i]) && strcmp(nodes[i].id, s->node.id) != 0);
        node_numbers(&nodes[i], s->node.id, &shown);
        metrics_tell_node(&s->metrics, (unsigned)i, &shown);
    }
    metrics_tell_nodes(&s->metrics, (unsigned)n);
    return 0;
}

_Static_assert(KV_NODES_MAX == METRICS_NODES_MAX, "each node has its numbers");
_Static_assert(KV_NODE_HOST_MAX == METRICS_HOST_MAX, "names fit");

static void
judge_clock(struct node_report *n, const struct server *s)
{
    int64_t off = n->self.skew_ms < 0 ? -n->self.skew_ms : n->self.skew_ms;

    n->why[0] = '\0';
    if (off > METRICS_SKEW_MAX_MS)
        snprintf(n->why, sizeof n->why, "the clock of this machine is %lld s %s the database's",
                 (long long)off / 1000, n->self.skew_ms < 0 ? "behind" : "ahead of");
    metrics_tell_clock(&s->metrics, n->has_others, n->self.skew_ms, (uint64_t)n->lag_ms);
    n->may_not_lead = metrics_is_clock_wrong(&s->metrics);
}

static void
follow_key(struct node_report *n, const struct server *s, struct kv *kv)
{
    struct err err;

    n->key_at = clock_mono_ms() + KEY_EACH_MS;
    if (node_key_follow(s->dir.fd, kv, &err) != 0)
        log_client_line(LOG_WARN, "the key of tokens may differ from that of other servers",
                        "why=%s", err.message);
}

bool
node_report_step(struct node_report *n, const struct server *s, const struct registry *reg)
{
    uint64_t now = clock_mono_ms();
    struct err err;

    if (s->options->database == NULL || now < n->beat_at)
        return false;
    n->beat_at = now + BEAT_MS;
    if (n->self.run[0] == '\0')
        n->self = s->node;
    if (n->has_others || now >= n->key_at)
        follow_key(n, s, reg->kv);
    if (kv_node_beat(reg->kv, &n->self, &err) == 0 && tell_nodes(n, s, reg->kv, &err) == 0) {
        judge_clock(n, s);
        return true;
    }
    snprintf(n->why, sizeof n->why, "the database doesn't know that this node lives: %.300s",
             err.message);
    return false;
}

void
node_report_end(struct node_report *n, const struct server *s, const struct registry *reg,
                bool is_over)
{
    struct err err;

    if (s->options->database != NULL && n->self.run[0] != '\0' &&
        kv_node_leave(reg->kv, &n->self, is_over, &err) != 0)
        log_line(LOG_WARN, "the database doesn't know that this node stops", "why=%s", err.message);
}
