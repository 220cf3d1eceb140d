#pragma once

#include <stdint.h>
#include "storage/layers/layer_entry.h"
#include "util/arena.h"
#include "util/err.h"

/* The nodes of a layer_tree: names in directories, found by a hash. Nodes have numbers and never
 * move. Half a million nodes take about 80 MB. */

#define LAYER_NODES_ROOT 0u
#define LAYER_NODES_NONE UINT32_MAX

struct layer_node {
    uint32_t parent, child, next; /* `next` of an unused node is the next unused node */
    uint32_t hash, hash_next;
    uint32_t nanos, xattrs;
    uint32_t number; /* a directory's number while the tree is written */
    uint64_t uid, gid, data;
    union {
        uint64_t size;
        struct {
            uint32_t major, minor;
        } device;
    } u;
    int64_t mtime;
    const char *name, *link;
    uint16_t link_n, depth, mode;
    uint8_t name_n, type, flags;
};

/* Limits for untrusted tars; a tar that passes one is ERR_NOT_BROWSABLE. */
struct layer_nodes_limits {
    uint64_t nodes;
    uint64_t text; /* bytes of all names and links that were ever added */
    unsigned depth;
};

#define LAYER_NODES_CHUNK 2048u
#define LAYER_NODES_CHUNKS_MAX 8192u

struct layer_nodes {
    struct layer_nodes_limits limits;
    struct arena texts;
    uint64_t text_bytes;
    uint64_t n; /* nodes without the root */
    uint64_t seed;
    struct layer_node *chunks[LAYER_NODES_CHUNKS_MAX];
    uint32_t taken, unused;
    uint32_t *buckets, buckets_n;
};

/* Makes the root, an implicit directory. */
void layer_nodes_init(struct layer_nodes *t, const struct layer_nodes_limits *limits);
void layer_nodes_free(struct layer_nodes *t);

static inline struct layer_node *
layer_nodes_at(const struct layer_nodes *t, uint32_t i)
{
    return &t->chunks[i / LAYER_NODES_CHUNK][i % LAYER_NODES_CHUNK];
}

/* Returns LAYER_NODES_NONE when there is no such node. */
uint32_t layer_nodes_find(const struct layer_nodes *t, uint32_t dir, struct bytes name);
/* Makes a node of type LAYER_NONE. Returns LAYER_NODES_NONE on failure. */
uint32_t layer_nodes_make(struct layer_nodes *t, uint32_t dir, struct bytes name, struct err *err);
/* Gives node i the type and attributes of `is`. Its place and name stay, and so does what it hides
 * in lower layers. A directory that becomes something else loses its contents; a node that becomes
 * a directory stays opaque. */
void layer_nodes_become(struct layer_nodes *t, uint32_t i, const struct layer_node *is);
/* Copies a text that is kept as long as the nodes. Returns NULL on failure. */
const char *layer_nodes_keep(struct layer_nodes *t, struct bytes text, struct err *err);
