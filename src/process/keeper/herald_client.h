#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/events/hook.h"
#include "domain/events/hook_queue.h"
#include "process/herald/herald_protocol.h"
#include "process/server/server.h"
#include "util/loop.h"

/* The keeper's side of its connection to the herald: sends events and due hooks, and stores the
 * results of hooks. The state is in the database, so nothing is lost when a keeper dies. Times are
 * clock_mono_ms(). */

struct herald_client_held {
    uint32_t seq;
    unsigned which; /* of enum hook; METRICS_HOOK_UNKNOWN */
    char repository[RECORD_REPOSITORY_MAX + 1];
};

struct herald_client {
    const struct registry *reg;
    struct hooks hooks;
    struct hook_queue queue;
    struct loop *loop;
    struct loop_timer due; /* of the next step */
    struct loop_fd ready;
    struct herald_line line;
    bool met;            /* the herald has told which hooks it runs */
    uint64_t connect_at; /* of the next try */
    uint64_t retry_at;   /* after a failure of the database */
    bool begun;
    uint64_t retries;  /* --hook-retries */
    bool follows;      /* another node leads: listeners alone get events */
    bool has_role;     /* there are other nodes: HERALD_LEAD or HERALD_FOLLOW was said */
    bool role_is_due;  /* HERALD_LEAD or HERALD_FOLLOW is to be sent */
    uint64_t hooks_at; /* before that no hook is run: another node may still run it */

    struct outbox_marks marks, saved;
    uint64_t save_at;
    uint32_t sent; /* events up to this one were sent to the herald */
    uint32_t seen; /* events up to this one are in its log */
    bool fresh;    /* there may be more events */

    uint64_t ended;                  /* hooks that have ended, or events that the herald has seen */
    struct herald_client_held *held; /* hooks that the herald has */
    size_t held_n, jobs;
    struct hook_result results[HOOK_QUEUE_RESULTS_MAX]; /* not yet in the database */
    size_t results_n;
    uint32_t taken[HOOK_QUEUE_RESULTS_MAX]; /* HERALD_TAKEN is to be sent for these */
    size_t taken_n;
    struct {
        uint32_t id, after;
    } pages[HERALD_PAGES_MAX]; /* requests of the herald */
    size_t pages_n;

    struct herald_message in, out;
};

struct herald_client *herald_client_new(const struct server *s, const struct registry *reg,
                                        struct loop *loop);
/* Saves the marks. */
void herald_client_free(struct herald_client *c);

/* Before its first step: another node leads. */
void herald_client_follow(struct herald_client *c);
/* This node leads, as the database has just said. wait_ms: for this time no hook is run. */
void herald_client_lead(struct herald_client *c, uint64_t wait_ms);

/* Tells it that there may be new events; hooks: also hooks that are to be tried again. */
void herald_client_poke(struct herald_client *c, bool hooks);

/* Does what can be done now. Call it after each round of the loop; it sets the loop's timers. -1:
 * the database fails; it tries again after a second. */
int herald_client_step(struct herald_client *c, struct err *err);

/* True if there is no connection to a herald. */
bool herald_client_is_alone(const struct herald_client *c);
