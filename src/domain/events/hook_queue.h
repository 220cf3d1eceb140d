#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/events/outbox.h"
#include "storage/tables/tbl_hook.h"

/* The hooks that are still to run. Hooks of a repository run in the order of their events, because
 * only the first of each repository may run. Each runs at least once, because its row is deleted
 * only after it has succeeded. A hook that fails is retried after hook_queue_pause_ms(1), (2), ...,
 * and the other hooks of its repository wait. After its last retry it is kept as failed, and the
 * next hook runs. Events of v1 images belong to no repository and are in an order of their own; a
 * tag of a v1 image waits for all events of v1 images before it. One process, the keeper, works on
 * the queue. Others read it, and change hooks that aren't running. */

/* Results in one call of hook_queue_settle. */
#define HOOK_QUEUE_RESULTS_MAX 64
/* Hooks that wait, at most. Further hooks count as failed at once. */
#define HOOK_QUEUE_WAITING_MAX 1000000
/* Failed hooks that are kept: the newest ones. */
#define HOOK_QUEUE_FAILED_MAX 1000

struct hook_queue {
    const struct registry *reg;
    uint64_t max;
    uint64_t waiting; /* those that wait; doesn't fall when another process drops one */
    uint64_t retries;
    /* Repositories take turns, in the order of their names. A round looks at each once. */
    char at[RECORD_REPOSITORY_MAX + 1];   /* the last repository that was looked at */
    char from[RECORD_REPOSITORY_MAX + 1]; /* the value of `at` when the round began */
    bool at_begun, from_begun;            /* false: before all repositories, also before "" */
    bool wrapped;                         /* the round passed the end */
    bool in_round;
    uint64_t next_due; /* clock_wall_ms() at which the first postponed hook is due; UINT64_MAX */
};

/* Counts the hooks that wait. */
int hook_queue_begin(struct hook_queue *q, const struct registry *reg, uint64_t retries,
                     struct err *err);

/* Adds rows for those events that are wanted, and saves the marks, in one transaction. */
int hook_queue_add(struct hook_queue *q, const struct outbox_event *v, const bool *wanted, size_t n,
                   const struct outbox_marks *m, struct err *err);

/* Begins a new round. To be called when the queue may have changed. */
void hook_queue_restart(struct hook_queue *q);

/* Finds the next hook to run, in a repository that isn't busy: 1, 0 none now, -1. Looks at a
 * bounded number of repositories; hook_queue_wait_ms tells when to ask again. */
int hook_queue_next(struct hook_queue *q, bool (*is_busy)(const char *repository, void *arg),
                    void *arg, struct tbl_hook *h, struct err *err);
/* Milliseconds until hook_queue_next may find a hook: 0 at once, UINT64_MAX only after a change. */
uint64_t hook_queue_wait_ms(const struct hook_queue *q);

/* The result of a hook's run. */
struct hook_result {
    uint32_t seq;
    char repository[RECORD_REPOSITORY_MAX + 1];
    bool ok;
    char line[RECORD_HOOK_LINE_MAX + 1]; /* its last line of output, or the reason of the failure */
};

/* Enters up to HOOK_QUEUE_RESULTS_MAX results in one transaction. A hook that is no longer in the
 * queue is ignored. Sorts v. */
int hook_queue_settle(struct hook_queue *q, struct hook_result *v, size_t n, struct err *err);

/* The pause after that number of failed tries. */
uint64_t hook_queue_pause_ms(uint32_t tries);

/* ---- for other processes ---- */

/* Lists up to n rows after `after` (NULL: from the first on): first those that wait, then those
 * that failed. *got is their number, less than n only at the end. */
int hook_queue_list(const struct registry *reg, const struct tbl_hook *after, struct tbl_hook *v,
                    size_t n, size_t *got, struct err *err);

/* Both find a hook by its event's number: 1, 0 there is none, -1. Retry makes it due now, with all
 * its retries; a failed one becomes the first of its repository again. Drop removes it; if it is
 * running, it isn't retried. */
int hook_queue_retry(const struct registry *reg, uint32_t seq, struct err *err);
int hook_queue_drop(const struct registry *reg, uint32_t seq, struct err *err);
