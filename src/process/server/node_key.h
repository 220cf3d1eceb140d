#pragma once

#include "domain/access/token_key.h"
#include "util/err.h"

struct kv;

/* The key of tokens is the same on all nodes of a database, or a client would need a token of each.
 * The database has it; auth/token.key of each node is a copy, and a rotation on one node gets to
 * all. */

/* Opens the keys at the start, after a look into the database if that answers. database: its URL;
 * NULL: there is none. */
int node_key_open(struct token_keys *k, int dirfd, const char *database, struct err *err);
/* Brings database and copy in line. Call it every few seconds. */
int node_key_follow(int dirfd, struct kv *kv, struct err *err);
