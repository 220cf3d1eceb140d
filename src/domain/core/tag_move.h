#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/access/access.h"
#include "domain/core/condition.h"
#include "domain/core/edge_batch.h"
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* The only way in which tags change: some tags of one repository move to one target, or are
 * deleted, in the caller's transaction. It has three steps, in the order of tables:
 *
 *     tag_move_records    compares each tag with what is expected of it; its record, the limit of
 *                         tags, its history; a lease for a foreign image that it no longer names
 *     tag_move_edges      its edge, written together with the caller's edges; the jobs for what it
 *                         no longer names
 *     tag_move_events     the events
 *
 * Between them the caller reads and writes its own tables. */

struct tag_move_tag {
    const char *name;
    bool expects;           /* it moves only if it names `expected`: */
    struct digest expected; /* DIGEST_NONE: only if there is no such tag */

    struct digest old; /* what it named: set by tag_move_records */
    bool old_derived;
    bool is_new;
    bool moves; /* it names something else from now on */
};

struct tag_move {
    const struct registry *reg;
    uint64_t repo;
    const struct actor *actor;
    struct digest to; /* DIGEST_NONE: they are deleted */
    bool to_derived;  /* a derived manifest (derived.h) */
    bool target_goes; /* they are deleted together with what they name */
    bool silent; /* the same image by another digest: no history, time, lease, job or event, and
                  * a tag that isn't as expected stays where it is */
    struct tag_move_tag *tags; /* in byte order, each once */
    size_t n;
    const struct condition *condition; /* NULL: none; else -1 and ERR_CONDITION if a tag fails it */

    /* for the pre-hook; not used by deletions, and by moves that are silent */
    const struct rec_event *told; /* what it is told, but for the tag and the old digest */
    struct bytes document;        /* its stdin */
    struct arena *arena;

    bool asked; /* tag_move_ask did its work */
    bool stale; /* a transaction failed, since a tag wasn't as expected */
    uint64_t now;
};

/* Asks the pre-hook about each tag, if there is one and the actor isn't quiet. From then on each
 * tag is expected to name what the hook was told. One refusal refuses all tags. */
int tag_move_ask(struct tag_move *m, struct err *err);

/* Runs fn in a transaction, after tag_move_ask. When a tag has moved since the hook was asked about
 * it, the hook is asked about that tag again, and fn is run again. */
int tag_move_run(struct tag_move *m, int (*fn)(struct txn *t, void *arg, struct err *err),
                 void *arg, struct err *err);

/* -1 and m->stale: a tag isn't as expected. ERR_FULL: a tag is new, and one too many. */
int tag_move_records(struct txn *t, struct tag_move *m, struct err *err);

/* Writes the batch, and frees it. */
int tag_move_edges(struct txn *t, struct tag_move *m, struct edge_batch *edges, struct err *err);

/* One event for each tag, made of e: EVENT_TAG, or EVENT_UNTAG for deleted tags. */
int tag_move_events(struct txn *t, struct tag_move *m, const struct rec_event *e, struct err *err);
