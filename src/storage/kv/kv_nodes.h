#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* The servers that share a store, called nodes: who they are, and which of them live. Only for a
 * store that isn't a directory (kv_is_remote). Times are
 * those of the database's clock. */

struct kv;

/* A node without a heartbeat for this long counts as dead. */
#define KV_NODE_DEAD_MS 30000
/* Nodes that the store remembers. One that is dead for a week is forgotten. */
#define KV_NODES_MAX 64

#define KV_NODE_ID_MAX 33 /* 32 hex digits */
#define KV_NODE_HOST_MAX 65
#define KV_NODE_VERSION_MAX 33
#define KV_NODE_ADDRESS_MAX 64
#define KV_NODE_KEY_BYTES 32

struct kv_node {
    uint32_t number;          /* from 1 on: given by the first join, and kept */
    char id[KV_NODE_ID_MAX];  /* of the data directory */
    char run[KV_NODE_ID_MAX]; /* of this start of the server */
    char host[KV_NODE_HOST_MAX];
    char address[KV_NODE_ADDRESS_MAX]; /* where other nodes reach it: an IP address and a port, or
                                        * "" */
    char version[KV_NODE_VERSION_MAX]; /* of the program */
    uint64_t age_ms;                   /* since its last heartbeat */
    int64_t skew_ms;                   /* how far the node's clock is ahead of the database's */
    bool is_stopped;                   /* it was stopped in order */
    bool leads;
};

bool kv_node_is_alive(const struct kv_node *node);

/* Enters the node, with its id, run, host, address and version. ERR_UNSUPPORTED: another node
 * lives, and one of the two has no address, or they have the same; or a server with the same id
 * lives on another host. Until kv_close no other node joins, so that the starts of servers come one
 * after the other; ERR_BUSY: that takes too long. */
int kv_node_join(struct kv *kv, const struct kv_node *self, struct err *err);
/* The node with self's run lives. Fills number, and measures skew_ms, and enters that with the next
 * heartbeat. ERR_UNSUPPORTED: the node was entered by another start of a server since. */
int kv_node_beat(struct kv *kv, struct kv_node *self, struct err *err);
/* The node stops. is_over: nothing of its work as a leader goes on. */
int kv_node_leave(struct kv *kv, const struct kv_node *self, bool is_over, struct err *err);

/* ---- the leader ----
 *
 * One process of all nodes leads, as long as its connection lasts: a lock of that connection makes
 * it the leader. From then on its transactions fail when the connection has been lost, and it must
 * end: it never leads again. */

/* What a leader has handed out, its successor on another node hands out again after this time. */
#define KV_NODE_HANDOVER_MS 20000

/* Tries to become the leader. 1, and *wait_ms: before that nothing may be handed out; 0: another
 * one leads; -1, also ERR_BUSY while the end of an earlier process isn't known to the database. */
int kv_node_lead(struct kv *kv, const struct kv_node *self, uint64_t *wait_ms, struct err *err);
/* Does this process lead? Costs no flight to the database. Without kv_node_lead it is true: a store
 * in a directory has one keeper. */
bool kv_node_leads(const struct kv *kv);

/* Fills out, which has room for KV_NODES_MAX, in the order of their numbers. */
int kv_node_list(struct kv *kv, struct kv_node *out, size_t *n, struct err *err);

/* The node with that number: 1, 0, -1. */
int kv_node_find(struct kv *kv, uint32_t number, struct kv_node *out, struct err *err);

/* What a process has to know of its own node: the number, and a secret of all nodes. */
struct kv_node_self {
    uint32_t number; /* 0: not known, and there is no key */
    uint8_t key[KV_NODE_KEY_BYTES];
};
/* 0, or -1; ERR_UNSUPPORTED: no node has this run. */
int kv_node_self(struct kv *kv, const char *run, struct kv_node_self *out, struct err *err);

/* A secret that all nodes share. 1, 0: there is none, -1. A value has KV_SECRET_MAX bytes at most.
 */
#define KV_SECRET_MAX 256
int kv_node_secret_get(struct kv *kv, const char *name, struct buf *value, struct err *err);
/* Puts it if it still is `before` (n 0: there is none). 1: put; 0: it isn't; -1. */
int kv_node_secret_put(struct kv *kv, const char *name, struct bytes before, struct bytes value,
                       struct err *err);

/* Is there another node than `id` ("": any) that lives? ERR_UNSUPPORTED, and a message with its
 * host. */
int kv_node_refuse_others(struct kv *kv, const char *id, struct err *err);
