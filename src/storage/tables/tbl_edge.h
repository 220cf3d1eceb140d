#pragma once

#include <stdbool.h>
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/pack.h"

/* edge: digest, kind, repository id, source -> nothing. An edge says that something points at the
 * digest, and why. The numbers are stored. Edges with a number below EDGE_KEEPS_END keep their
 * target from being collected, so the first edge of a digest tells whether it is kept. */
enum edge_kind {
    EDGE_HELD = 1,       /* a manifest, by the repository that has it; no source */
    EDGE_TAG = 2,        /* a manifest or v1 image, by a tag; source: the tag */
    EDGE_CHILD = 3,      /* a manifest or blob, by an index; source: the index's digest */
    EDGE_PART = 4,       /* a blob, by a manifest; source: the manifest's digest */
    EDGE_IMAGE = 5,      /* a v1 image's layer or parent; repository 0; source: the image's id */
    EDGE_MADE = 6,       /* a v1 image, by the manifest that was made of it; source: its digest */
    EDGE_HISTORY = 7,    /* a manifest or v1 image, by the history of a tag; source: time and tag */
    EDGE_TRASHED = 8,    /* the document of a deleted manifest, by the repository; no source */
    EDGE_TRASH_PART = 9, /* what a deleted manifest needs; source: that manifest's digest */
    EDGE_KEEPS_END = 16,
    EDGE_MEMBER = 17,  /* a blob that this repository may serve; no source */
    EDGE_SUBJECT = 18, /* the subject of a manifest; source: that manifest's digest */
    /* Ids (DIGEST_V1_ID) by which the first API finds a manifest; source: the manifest's digest.
     * These edges belong to the manifest, not to their target. */
    EDGE_ID = 19,        /* not compared with its layers yet */
    EDGE_ID_OWN = 20,    /* a second edge, for an id that is the digest of its config, or its own */
    EDGE_ID_PROVEN = 21, /* its layers are those of which the id tells */
    EDGE_ID_UNSURE = 22, /* it can't be compared with its layers */
    EDGE_COUNTED = 23,   /* a manifest or blob whose bytes a quota counts for this repository;
                          * source: the quota's key */
};

struct edge {
    struct digest to;
    enum edge_kind kind;
    uint64_t repo;
    struct digest from; /* DIGEST_NONE where the kind has no source, or it is a tag */
    const char *tag;    /* the source of EDGE_TAG and EDGE_HISTORY, else NULL */
    uint64_t until;     /* EDGE_HISTORY: the time until which it keeps; a part of its source */
};

/* Reads a key; tag: room for the tag of EDGE_TAG. */
void tbl_edge_take(struct unpack *key, struct edge *e, char tag[RECORD_TAG_MAX + 1]);

/* Compares edges in the order of their keys. Transactions put edges in this order. */
int tbl_edge_compare(const struct edge *a, const struct edge *b);

/* Is exactly this edge there? 1, 0, -1. */
int tbl_edge_has(struct txn *t, const struct edge *e, struct err *err);
void tbl_edge_expect(struct txn *t, const struct edge *e);
int tbl_edge_put(struct txn *t, const struct edge *e, struct err *err);
/* 1: deleted, 0: it wasn't there, -1; drop is without the answer: 0, -1. */
int tbl_edge_delete(struct txn *t, const struct edge *e, struct err *err);
int tbl_edge_drop(struct txn *t, const struct edge *e, struct err *err);

/* Visits the edges of one kind that point at a digest, of one repository (repo 0: of all), whose
 * source is greater than `after` (NULL: all; only for kinds whose sources are digests). The edge's
 * texts are valid during the call. fn is like kv_range_fn. */
int tbl_edge_each(struct txn *t, const struct digest *to, enum edge_kind kind, uint64_t repo,
                  const struct digest *after,
                  int (*fn)(const struct edge *e, void *arg, struct err *err), void *arg,
                  struct err *err);

/* Announces tbl_edge_each with a repository, and without `after`. */
void tbl_edge_expect_each(struct txn *t, const struct digest *to, enum edge_kind kind,
                          uint64_t repo);

/* The first repository behind `after` with an edge of that kind to the digest. 1, 0, -1. */
int tbl_edge_next_repo(struct txn *t, const struct digest *to, enum edge_kind kind, uint64_t after,
                       uint64_t *repo, struct err *err);

/* Does any edge of that kind point at it? 1, 0, -1. */
int tbl_edge_any(struct txn *t, const struct digest *to, enum edge_kind kind, struct err *err);

/* Visits the edges of all kinds that point at a digest, in the order of kinds, repositories and
 * sources, so those that keep it come first; behind `after` (NULL: all). fn is like kv_range_fn. */
int tbl_edge_each_behind(struct txn *t, const struct digest *to, const struct edge *after,
                         int (*fn)(const struct edge *e, void *arg, struct err *err), void *arg,
                         struct err *err);

/* Does any edge keep d? 1, 0, -1. */
int tbl_edge_kept(struct txn *t, const struct digest *d, struct err *err);
void tbl_edge_expect_kept(struct txn *t, const struct digest *d);

/* Removes all edges that point at a digest that is deleted, except those of ids and
 * EDGE_SUBJECT, which belong to the manifest that they come from. No right to it remains. */
int tbl_edge_delete_all(struct txn *t, const struct digest *d, struct err *err);

/* Visits the targets of edges of one kind, each once: the digests from `from` on, of the same
 * algorithm. fn is like kv_range_fn, but no page is locked while it runs. */
int tbl_edge_each_target(struct txn *t, enum edge_kind kind, const struct digest *from,
                         int (*fn)(const struct digest *to, void *arg, struct err *err), void *arg,
                         struct err *err);
