#ifndef PROCESS_MASTER_CHILDREN_H
#define PROCESS_MASTER_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "process/master/control_door.h"
#include "process/server/server.h"
#include "process/server/start_throttle.h"
#include "storage/kv/kv_slot.h"

/* The processes that have the database open, and what happens when one of them dies. Whoever dies
 * inside the database may leave locks behind on which all others wait for ever, so then all are
 * killed, one process recovers, and all are started anew (0.1 to 0.5 s; the sockets stay, and
 * requests wait in them). Whoever dies outside holds nothing, and is replaced. A slot in shared
 * memory says which it was. Times are clock_mono_ms(). */

enum children_state {
    CHILDREN_RECOVERING, /* the recovery runs, and nobody else */
    CHILDREN_SERVING,
    CHILDREN_KILLING, /* killed; the recovery comes when all are gone, and it is time */
    CHILDREN_STOPPING,
    CHILDREN_BROKEN, /* given up: see children_error */
};

struct child {
    int pool; /* or POOL_COUNT: the keeper; CHILDREN_COMMAND: see children_lend */
    unsigned number;
    pid_t pid;         /* 0: not there */
    uint64_t start_at; /* then: when to start it */
    struct kv_slot *slot;
    const struct control_door_request *request; /* of a command: while it is forked */
};
#define CHILDREN_COMMAND (POOL_COUNT + 1)

struct children_shared;

struct children {
    const struct server *server;
    struct children_shared *shared;
    struct child *v;
    size_t n;
    enum children_state state;
    pid_t recovery;                 /* 0: doesn't run */
    uint64_t recover_at;            /* KILLING: not before */
    unsigned failures;              /* recoveries that failed, one after the other */
    unsigned rounds;                /* recoveries since all were ready */
    bool starved;                   /* somebody died of a full disk, and not all are back */
    unsigned hungry;                /* recoveries that did, one after the other */
    uint64_t say_at;                /* when to say so again */
    uint64_t served_at[POOL_COUNT]; /* when there was a worker last */
    unsigned idle_deaths;           /* since the last recovery; each leaks a little */
    bool were_ready;                /* once, since the start */
    struct start_throttle throttle;
    uint64_t term_at; /* STOPPING: the next SIGTERM */
    uint64_t kill_at; /* and from when on SIGKILL */
};

/* Makes the table and the shared page. */
int children_init(struct children *c, const struct server *s, struct err *err);
void children_free(struct children *c);

/* Starts the recovery; the others follow by themselves. */
void children_start(struct children *c, uint64_t now);
/* True when pid was one of them; status is waitpid's. */
bool children_died(struct children *c, pid_t pid, int status, uint64_t now);
/* Starts a child that serves a command (control_door.h), if one can be now: then it is killed with
 * the others for a recovery, and is a reason for one, but nobody takes its place. */
bool children_lend(struct children *c, const struct control_door_request *r, uint64_t now);
/* What is due: call it after deaths, and at least every 250 ms. */
void children_tick(struct children *c, uint64_t now);
/* Are all at work? */
bool children_ready(struct children *c);

/* Is it time for nginx? It is also when the disk is full: then it says so, with 503. */
bool children_may_be_asked(const struct children *c);

/* Ends them: they finish their requests, but not for long. */
void children_stop(struct children *c, uint64_t now);
/* Not for as long as that: what children_stop waits for is cut short. */
void children_hurry(struct children *c, uint64_t now);
bool children_gone(const struct children *c);

/* CHILDREN_BROKEN: what is wrong, and what to do. Returns -1. */
int children_error(const struct children *c, struct err *err);

#endif
