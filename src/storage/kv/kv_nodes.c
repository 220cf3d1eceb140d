#include "storage/kv/kv_nodes.h"
#include <string.h>
#include "storage/kv/kv_filling.h"

bool
kv_node_is_alive(const struct kv_node *node)
{
    return !node->is_stopped && node->age_ms < KV_NODE_DEAD_MS;
}

int
kv_node_join(struct kv *kv, const struct kv_node *self, struct err *err)
{
    return kv->filling->node_join(kv, self, err);
}

int
kv_node_beat(struct kv *kv, struct kv_node *self, struct err *err)
{
    return kv->filling->node_beat(kv, self, err);
}

int
kv_node_leave(struct kv *kv, const struct kv_node *self, bool is_over, struct err *err)
{
    return kv->filling->node_leave(kv, self, is_over, err);
}

int
kv_node_lead(struct kv *kv, const struct kv_node *self, uint64_t *wait_ms, struct err *err)
{
    return kv->filling->node_lead(kv, self, wait_ms, err);
}

bool
kv_node_leads(const struct kv *kv)
{
    return kv->filling->node_leads == NULL || kv->filling->node_leads(kv);
}

int
kv_node_list(struct kv *kv, struct kv_node *out, size_t *n, struct err *err)
{
    return kv->filling->node_list(kv, out, n, err);
}

int
kv_node_find(struct kv *kv, uint32_t number, struct kv_node *out, struct err *err)
{
    return kv->filling->node_find(kv, number, out, err);
}

int
kv_node_self(struct kv *kv, const char *run, struct kv_node_self *out, struct err *err)
{
    return kv->filling->node_self(kv, run, out, err);
}

int
kv_node_secret_get(struct kv *kv, const char *name, struct buf *value, struct err *err)
{
    return kv->filling->secret_get(kv, name, value, err);
}

int
kv_node_secret_put(struct kv *kv, const char *name, struct bytes before, struct bytes value,
                   struct err *err)
{
    return kv->filling->secret_put(kv, name, before, value, err);
}

int
kv_node_refuse_others(struct kv *kv, const char *id, struct err *err)
{
    struct kv_node nodes[KV_NODES_MAX];
    size_t n;

    if (kv_node_list(kv, nodes, &n, err) != 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (kv_node_is_alive(&nodes[i]) && strcmp(nodes[i].id, id) != 0)
            return err_set(err, ERR_UNSUPPORTED,
                           "a server on %s works with this database: run this there, with its "
                           "data directory",
                           nodes[i].host);
    return 0;
}
