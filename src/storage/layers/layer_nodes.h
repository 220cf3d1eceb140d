#ifndef STORAGE_LAYERS_LAYER_NODES_H
#define STORAGE_LAYERS_LAYER_NODES_H

#include <stdint.h>
#include "storage/layers/layer_entry.h"
#include "util/arena.h"
#include "util/err.h"

/* The nodes of a layer_tree: names in directories, found by a hash. They have numbers and never
 * move; half a million of them take some 80 MB. */

#define LAYER_NODES_ROOT 0u
#define LAYER_NODES_NONE UINT32_MAX

struct layer_node {
    uint32_t parent, child, next; /* `next` of one that isn't used: the next such one */
    uint32_t hash, hash_next;
    uint32_t nanos, xattrs;
    uint32_t number; /* of a directory, when the tree is written */
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

/* What may be made of strangers' tars; beyond it is ERR_NOT_BROWSABLE. */
struct layer_nodes_limits {
    uint64_t nodes;
    uint64_t text; /* bytes of all names and links that ever were */
    unsigned depth;
};

#define LAYER_NODES_CHUNK 2048u
#define LAYER_NODES_CHUNKS_MAX 8192u

struct layer_nodes {
    struct layer_nodes_limits limits;
    struct arena texts;
    uint64_t text_bytes;
    uint64_t n; /* nodes but the root */
    uint64_t seed;
    struct layer_node *chunks[LAYER_NODES_CHUNKS_MAX];
    uint32_t taken, unused;
    uint32_t *buckets, buckets_n;
};

/* With a root, an implicit directory. 0 or -1; to be freed in both cases. */
void layer_nodes_init(struct layer_nodes *t, const struct layer_nodes_limits *limits);
void layer_nodes_free(struct layer_nodes *t);

static inline struct layer_node *
layer_nodes_at(const struct layer_nodes *t, uint32_t i)
{
    return &t->chunks[i / LAYER_NODES_CHUNK][i % LAYER_NODES_CHUNK];
}

/* LAYER_NODES_NONE: there is none. */
uint32_t layer_nodes_find(const struct layer_nodes *t, uint32_t dir, struct bytes name);
/* A new one, of type LAYER_NONE. LAYER_NODES_NONE: failed. */
uint32_t layer_nodes_make(struct layer_nodes *t, uint32_t dir, struct bytes name, struct err *err);
/* Makes i what `is` says; its place and name stay, and so does what it hides below. A directory
 * that becomes something else loses what is in it; one that becomes a directory stays opaque. */
void layer_nodes_become(struct layer_nodes *t, uint32_t i, const struct layer_node *is);
/* A copy that lasts as long as the nodes. NULL: failed. */
const char *layer_nodes_keep(struct layer_nodes *t, struct bytes text, struct err *err);

#endif
