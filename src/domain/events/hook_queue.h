#ifndef DOMAIN_EVENTS_HOOK_QUEUE_H
#define DOMAIN_EVENTS_HOOK_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/events/outbox.h"
#include "storage/tables/tbl_hook.h"

/* The hooks that are still to run: in order within a repository, since only the first of each may
 * run; at least once, since a row goes only after its hook has ended well. One that fails is tried
 * again after HOOK_QUEUE_PAUSE_MS(1), (2), ..., and its repository waits for it; after so many
 * retries it stays as failed, and the next one's turn comes. Events of the first API's images
 * belong to no repository, and are one row of their own; its tags wait for those before them. One
 * process (the keeper) works on it; others only look, and change what isn't running. */

#define HOOK_QUEUE_RESULTS_MAX 64
/* More than this many don't wait: what comes then counts as failed at once. */
#define HOOK_QUEUE_WAITING_MAX 1000000
/* Of those that have failed the newest stay. */
#define HOOK_QUEUE_FAILED_MAX 1000

struct hook_queue {
    const struct registry *reg;
    uint64_t max;
    uint64_t waiting; /* how many; what others took out isn't counted */
    uint64_t retries;
    /* Whose turn is next: repositories take turns, in the order of their names. */
    char at[RECORD_REPOSITORY_MAX + 1];
    char from[RECORD_REPOSITORY_MAX + 1]; /* where this round began */
    bool at_begun, from_begun;            /* false: before the first, which may be "" */
    bool wrapped;
    bool look;         /* this round isn't over */
    uint64_t next_due; /* clock_wall_ms() when one that was passed over is due; UINT64_MAX */
};

/* Counts what waits. */
int hook_queue_begin(struct hook_queue *q, const struct registry *reg, uint64_t retries,
                     struct err *err);

/* One transaction: rows for those events that are wanted, and the marks. */
int hook_queue_add(struct hook_queue *q, const struct outbox_event *v, const bool *wanted, size_t n,
                   const struct outbox_marks *m, struct err *err);

/* Something has changed: begin a new round. */
void hook_queue_look(struct hook_queue *q);

/* The next whose turn it is, in a repository that isn't busy. 1, 0: none now, -1. Looks at a
 * bounded number of repositories; hook_queue_wait_ms tells when to ask again. */
int hook_queue_next(struct hook_queue *q, bool (*is_busy)(const char *repository, void *arg),
                    void *arg, struct tbl_hook *h, struct err *err);
/* 0: at once. UINT64_MAX: when something changes. */
uint64_t hook_queue_wait_ms(const struct hook_queue *q);

/* How one ended. */
struct hook_result {
    uint32_t seq;
    char repository[RECORD_REPOSITORY_MAX + 1];
    bool ok;
    char line[RECORD_HOOK_LINE_MAX + 1]; /* its last, or why it failed */
};

/* Up to HOOK_QUEUE_RESULTS_MAX of them in one transaction. What isn't in the queue any more doesn't
 * matter. Sorts v. */
int hook_queue_settle(struct hook_queue *q, struct hook_result *v, size_t n, struct err *err);

/* After so many tries that failed. */
uint64_t hook_queue_pause_ms(uint32_t tries);

/* ---- for those who look ---- */

/* Up to n rows behind `after` (NULL: the first), those that wait and then those that failed; *got:
 * how many, and fewer than n only at the end. */
int hook_queue_list(const struct registry *reg, const struct tbl_hook *after, struct tbl_hook *v,
                    size_t n, size_t *got, struct err *err);

/* By the event's number: 1, 0 there is none, -1. Retry: it is due now, with as many tries as a new
 * one; one that failed is in front of its repository's again. Drop: it is gone; if it runs, it
 * isn't tried again. */
int hook_queue_retry(const struct registry *reg, uint32_t seq, struct err *err);
int hook_queue_drop(const struct registry *reg, uint32_t seq, struct err *err);

#endif
