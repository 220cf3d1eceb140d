#pragma once

#include "storage/kv/pg.h"

struct kv_node;
struct kv_node_self;

/* The functions of kv_nodes.h. */
int pg_node_join(struct kv *kv, const struct kv_node *self, struct err *err);
int pg_node_beat(struct kv *kv, struct kv_node *self, struct err *err);
int pg_node_leave(struct kv *kv, const struct kv_node *self, bool is_over, struct err *err);
int pg_node_lead(struct kv *kv, const struct kv_node *self, uint64_t *wait_ms, struct err *err);
bool pg_node_leads(const struct kv *kv);
int pg_node_list(struct kv *kv, struct kv_node *out, size_t *n, struct err *err);

int pg_node_find(struct kv *kv, uint32_t number, struct kv_node *out, struct err *err);
int pg_node_self(struct kv *kv, const char *run, struct kv_node_self *out, struct err *err);

int pg_node_secret_get(struct kv *kv, const char *name, struct buf *value, struct err *err);
int pg_node_secret_put(struct kv *kv, const char *name, struct bytes before, struct bytes value,
                       struct err *err);

/* Sends what makes the tables. */
void pg_node_say_tables(struct pg *p);
