#pragma once

#include "storage/kv/pg.h"

struct kv_node;

/* The functions of kv_nodes.h. */
int pg_node_join(struct kv *kv, const struct kv_node *self, struct err *err);
int pg_node_beat(struct kv *kv, struct kv_node *self, struct err *err);
int pg_node_leave(struct kv *kv, const struct kv_node *self, bool is_over, struct err *err);
int pg_node_lead(struct kv *kv, const struct kv_node *self, uint64_t *wait_ms, struct err *err);
bool pg_node_leads(const struct kv *kv);
int pg_node_list(struct kv *kv, struct kv_node *out, size_t *n, struct err *err);

/* Sends what makes the table. */
void pg_node_say_table(struct pg *p);
