#include "process/commands/stat_numbers.h"
#include "domain/core/census.h"
#include "domain/metrics/metrics_ask.h"
#include "process/server/node.h"
#include "storage/kv/kv.h"
#include "storage/kv/kv_nodes.h"
#include "storage/tables/tbl_meta.h"
#include "storage/tables/tbl_tally.h"
#include "util/clock.h"

static void
read_server(const struct control *c, struct stat_numbers *out)
{
    const struct metrics *m = c->reg->metrics;

    metrics_read(m, &out->m);
    metrics_ask(m, c->reg->dirfd, &out->m);
    for (int i = 0; i < READINESS_PARTS; i++)
        out->parts[i].is_well = readiness_is_well(metrics_readiness(m), (enum readiness_part)i,
                                                  c->reg->dirfd, out->parts[i].why);
}

/* ---- without a server ---- */

static void
set_stored(struct stat_numbers *out, enum metric metric, uint64_t value)
{
    out->m.known[metric] = true;
    out->m.v[metric][0] = value;
}

static int
sum_up_tally(uint64_t repo, uint64_t n, void *arg, struct err *err)
{
    uint64_t *sum = arg;

    (void)repo;
    (void)err;
    *sum += n;
    return 0;
}

static int
list_nodes(const struct control *c, struct stat_numbers *out, struct err *err)
{
    struct kv_node nodes[KV_NODES_MAX];
    char own[KV_NODE_ID_MAX];
    size_t n;

    if (!kv_is_remote(c->reg->kv))
        return 0;
    if (node_read_id(c->reg->dirfd, own, err) != 0 || kv_node_list(c->reg->kv, nodes, &n, err) != 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        node_numbers(&nodes[i], own, &out->m.nodes[i]);
    out->m.nodes_n = (unsigned)n;
    return 0;
}

static int
count_store(struct control *c, struct stat_numbers *out, void (*show)(void *arg), void *arg,
            struct err *err)
{
    const struct tally all = {.kind = TALLY_REPOSITORIES};
    struct txn *reads = kv_reads(c->reg->kv);
    struct census census = {0};
    struct census_numbers n = {0};
    uint64_t repositories = 0, uploads = 0, backup;
    int had_backup = tbl_meta_get(reads, META_BACKUP, &backup, err), rc;

    if (had_backup < 0 || list_nodes(c, out, err) != 0 ||
        tbl_tally_get(reads, &all, &repositories, err) < 0 ||
        tbl_tally_each(reads, TALLY_UPLOADS, 0, sum_up_tally, &uploads, err) != 0)
        return -1;
    while ((rc = census_step(&census, c->reg, &n, err)) == 1) {
        if (control_is_over(c))
            return err_set(err, ERR_BUSY, "interrupted");
        show(arg);
    }
    if (rc == 0 && had_backup == 1)
        set_stored(out, METRIC_BACKUP_AT, backup);
    set_stored(out, METRIC_REPOSITORIES, repositories);
    set_stored(out, METRIC_UPLOADS, uploads);
    set_stored(out, METRIC_TAGS, n.tags);
    set_stored(out, METRIC_BLOBS, n.blobs);
    set_stored(out, METRIC_BLOB_BYTES, n.bytes);
    set_stored(out, METRIC_SHARED_BYTES, n.shared_bytes);
    set_stored(out, METRIC_COUNTED_AT, out->at);
    metrics_ask_disk(c->reg->dirfd, &out->m);
    return rc;
}

int
stat_numbers_get(struct control *c, struct stat_numbers *out, void (*show)(void *arg), void *arg,
                 struct err *err)
{
    memset(out, 0, sizeof *out);
    out->at = clock_wall_ms();
    out->is_running = c->reg->metrics != NULL;
    if (!out->is_running)
        return count_store(c, out, show, arg, err);
    read_server(c, out);
    return 0;
}

uint64_t
stat_numbers_requests(const struct stat_numbers *n, int class)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < METRICS_KINDS; i++)
        for (unsigned k = 0; k < METRICS_STATUSES; k++)
            if (metrics_statuses[k] / 100 == class)
                sum += n->m.requests[i][k];
    return sum;
}
