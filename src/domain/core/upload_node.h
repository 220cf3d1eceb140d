#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/err.h"

/* An upload belongs to the node that has begun it, since its bytes are in that node's data
 * directory. Its id begins with the node's number. A node that gets a request for another node's
 * upload passes it on, with a text that says whose request it is: the user was checked already. The
 * text is signed with a key of the database, and is good for one request, for a minute. Without
 * --database (reg->node NULL) all uploads are ours. */

/* Writes the node's number into a new id. */
void upload_node_mark(const struct registry *reg, char id[RECORD_UPLOAD_ID_MAX]);
/* The number in an id, which is valid. */
uint32_t upload_node_of(const char *id);
/* Did another node begin the upload, and has its bytes? */
bool upload_node_is_other(const struct registry *reg, const char *id);

/* Where the node of that upload takes requests. 0, or -1: ERR_NO_UPLOAD, because the node is dead,
 * or can't be reached. */
#define UPLOAD_NODE_ADDRESS_MAX 64
int upload_node_find(const struct registry *reg, const char *id,
                     char address[UPLOAD_NODE_ADDRESS_MAX], struct err *err);

/* A request that is passed on. */
struct upload_node_request {
    const char *method;
    const char *path, *query; /* raw */
    const char *user;         /* "": nobody */
    const char *address;      /* of the client */
};

#define UPLOAD_NODE_CLIENT_MAX 64
#define UPLOAD_NODE_TEXT_MAX 640
/* Signs a request for the node of that upload. False: it can't be signed. */
bool upload_node_sign(const struct registry *reg, const char *id,
                      const struct upload_node_request *r, uint64_t now_ms,
                      char text[UPLOAD_NODE_TEXT_MAX]);
/* Was this request passed on to this node, began_ms ago at most a minute? Of r, user and address
 * are found out, and returned. */
bool upload_node_verify(const struct registry *reg, const char *text,
                        const struct upload_node_request *r, uint64_t began_ms,
                        char user[RECORD_ACTOR_MAX + 1], char address[UPLOAD_NODE_CLIENT_MAX]);
