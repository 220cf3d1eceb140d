#ifndef PROCESS_KEEPER_HERALD_CLIENT_H
#define PROCESS_KEEPER_HERALD_CLIENT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/events/hook.h"
#include "domain/events/hook_queue.h"
#include "process/herald/herald_protocol.h"
#include "process/server/server.h"

/* The keeper's side of the line to the herald: tells it of events, gives it the hooks whose turn it
 * is, and writes down how they ended. Only what is in the database counts: a keeper that dies loses
 * nothing. Times are clock_mono_ms(). */

struct herald_client_held {
    uint32_t seq;
    char repository[RECORD_REPOSITORY_MAX + 1];
};

struct herald_client {
    const struct registry *reg;
    struct hooks hooks;
    struct hook_queue queue;
    struct herald_line line;
    bool met;            /* the herald has said what it is at */
    uint64_t connect_at; /* not before */
    uint64_t retry_at;   /* after trouble with the database */
    bool begun;
    uint64_t retries; /* --hook-retries */

    struct outbox_marks marks, saved;
    uint64_t save_at;
    uint32_t fed; /* up to there the herald was told */
    bool fresh;   /* there may be more */

    struct herald_client_held *held; /* what the herald runs, or was given to */
    size_t held_n, jobs;
    struct hook_result results[HOOK_QUEUE_RESULTS_MAX]; /* not in the database yet */
    size_t results_n;
    uint32_t taken[HOOK_QUEUE_RESULTS_MAX]; /* the herald has to be told so */
    size_t taken_n;
    struct {
        uint32_t id, after;
    } pages[HERALD_PAGES_MAX];
    size_t pages_n;

    struct herald_message in, out;
};

/* Frees nothing of what there was before. NULL on failure: no memory. */
struct herald_client *herald_client_new(const struct server *s, const struct registry *reg,
                                        struct err *err);
/* Writes down how far it got. */
void herald_client_free(struct herald_client *f);

/* There may be new events; hooks: or hooks that somebody wants to be tried again. */
void herald_client_poke(struct herald_client *f, bool hooks);

/* Does what can be done now. -1 when the database fails: it is tried again in a second. */
int herald_client_step(struct herald_client *f, struct err *err);
/* What to wait for, besides being poked. */
struct pollfd herald_client_poll(const struct herald_client *f);
uint64_t herald_client_wait_ms(const struct herald_client *f);

/* Has the herald gone, or never been there? */
bool herald_client_is_alone(const struct herald_client *f);

#endif
