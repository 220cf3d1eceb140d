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

/* The only code that changes tags: moves some tags of one repository to one target, or deletes
 * them, in the caller's transaction. There are three steps, in the order of tables:
 *
 *     tag_move_records    compares each tag with its expected target; writes its record, the tally
 *                         of tags, and its history; gives a lease to a foreign image that it no
 *                         longer names, and notes in a manifest's record that a tag has left it
 *     tag_move_edges      writes the tags' edges together with the caller's edges; keeps the former
 *                         targets (history.h), and adds jobs for them
 *     tag_move_events     writes the events
 *
 * Between the steps the caller reads and writes its own tables. */

struct tag_move_tag {
    const char *name;
    bool expects;           /* the tag moves only if it names `expected` */
    struct digest expected; /* DIGEST_NONE: there must be no such tag */
    uint64_t pushed;        /* it moves only if it was last pushed then, else ERR_CONDITION; 0:
                             * whenever that was */

    struct digest old; /* the former target; set by tag_move_records */
    bool old_derived;
    bool is_new;
    bool moves;              /* the target changes */
    struct digest forgotten; /* the former target of a move that the history forgets now, */
    uint64_t forgotten_time; /* and the time of that move */
};

struct tag_move {
    const struct registry *reg;
    uint64_t repo;
    const char *repository; /* its name; not for silent moves */
    const struct actor *actor;
    struct digest to; /* the target; DIGEST_NONE: the tags are deleted */
    bool to_derived;  /* a derived manifest (derived.h) */
    bool target_goes; /* the tags are deleted together with their target */
    bool silent; /* the target is the same image by another digest: no history, time, lease, job or
                  * event; a tag with an unexpected target is left alone */
    struct tag_move_tag *tags; /* sorted by bytes, each once */
    size_t n;
    const struct condition *condition; /* for each tag, else ERR_CONDITION; NULL: none */

    /* for the pre-hook, and for the right to add or move a tag; NULL for deletions and silent
     * moves, which are asked about elsewhere */
    const struct rec_event *told; /* what the hook is told, except for the tag and the old digest */
    struct bytes document;        /* the hook's stdin */
    struct arena *arena;

    bool asked; /* tag_move_ask has succeeded */
    bool stale; /* a transaction failed because a tag had an unexpected target */
    uint64_t now;
};

/* Refuses another target for an immutable tag (ERR_DENIED). Then asks the pre-hook about each tag,
 * unless there is no hook or the actor is quiet. From then on the expected target of each tag is
 * the one that the hook was told. One refusal refuses all tags. */
int tag_move_ask(struct tag_move *m, struct err *err);

/* Calls tag_move_ask, then runs fn in a transaction. If a tag was moved by another request since
 * the hook was asked, the hook is asked about that tag again, and fn is run again. */
int tag_move_run(struct tag_move *m, int (*fn)(struct txn *t, void *arg, struct err *err),
                 void *arg, struct err *err);

/* Announces what tag_move_records reads first (kv_expect). */
void tag_move_expect(struct txn *t, const struct tag_move *m);

/* -1 and m->stale: a tag has an unexpected target. ERR_FULL: --max-tags is reached. ERR_DENIED: the
 * actor may not add, or not move, one of the tags. */
int tag_move_records(struct txn *t, struct tag_move *m, struct err *err);

/* Writes the batch and frees it. */
int tag_move_edges(struct txn *t, struct tag_move *m, struct edge_batch *edges, struct err *err);

/* Writes one event for each tag, made of e: EVENT_TAG, or EVENT_UNTAG for a deleted tag. */
int tag_move_events(struct txn *t, struct tag_move *m, const struct rec_event *e, struct err *err);
