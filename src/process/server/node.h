#pragma once

#include "domain/metrics/metrics.h"
#include "process/server/server.h"

/* A server with --database is a node of that database (kv_nodes.h). Its data directory has the
 * node's id, so that the node keeps its number. */

/* At the start: who this node is, s->node. Makes the id if there is none. Without --database it
 * does nothing. */
int node_begin(struct server *s, struct err *err);

/* The IP address and the port of --node-address. May wait for the name's server. */
int node_resolve(const struct options *o, char address[KV_NODE_ADDRESS_MAX], struct err *err);

/* The id of a data directory; "" if it has none yet. */
int node_read_id(int dirfd, char id[KV_NODE_ID_MAX], struct err *err);

/* What /metrics and the command stat show of a node. own: the id of this one. */
void node_numbers(const struct kv_node *node, const char *own, struct metrics_node *out);
