#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "process/master/control_door.h"
#include "process/server/server.h"
#include "process/server/start_throttle.h"
#include "storage/kv/kv_slot.h"
#include "util/loop.h"

/* Starts and watches the processes that have the database open. A process that dies inside the
 * database may leave locks, for which the others would wait for ever. So the master kills all of
 * them, one process recovers the database, and all are started again (0.1 to 0.5 s; the sockets
 * stay open, and requests wait in them). A process that dies outside holds nothing, and is
 * replaced. Its slot in shared memory says where it was. Times are clock_mono_ms(). */

enum children_state {
    CHILDREN_RECOVERING, /* the recovery runs, and no other process */
    CHILDREN_SERVING,
    CHILDREN_KILLING, /* the recovery begins when all are gone, and recover_at has come */
    CHILDREN_STOPPING,
    CHILDREN_BROKEN, /* given up: see children_error */
};

enum children_kind {
    CHILDREN_WORKER,
    CHILDREN_KEEPER,
    CHILDREN_COMMAND, /* see children_lend */
};

struct children_member {
    struct children *children;
    enum children_kind kind;
    enum pool_id pool; /* of a worker */
    unsigned number;   /* of a worker, within its pool */
    struct loop_child child;
    uint64_t start_at; /* if it doesn't run */
    struct kv_slot *slot;
    struct metrics_place *counts;
    const struct control_door_request *request; /* of a command, during the fork */
};

struct children_shared;

struct children {
    const struct server *server;
    struct loop *loop;
    struct children_shared *shared;
    struct children_member *v;
    size_t n;
    enum children_state state;
    struct loop_child recovery;
    uint64_t recover_at;            /* KILLING: not before */
    unsigned failures;              /* recoveries in a row that failed */
    bool is_fault;                  /* the last of them because of the machine, or of another one */
    unsigned rounds;                /* recoveries since all were ready */
    bool disk_full;                 /* a process died of a full disk, and not all are back */
    unsigned disk_full_recoveries;  /* in a row that died of it */
    unsigned faults;                /* recoveries in a row that failed because of the machine */
    uint64_t disk_full_log_at;      /* when to log it again */
    uint64_t served_at[POOL_COUNT]; /* when the pool had a worker last */
    unsigned deaths_outside;        /* since the last recovery; each leaks a little */
    bool were_ready;                /* once, since the start */
    bool refused;                   /* the store, by the last recovery: its message says why */
    uint64_t spared_at;             /* when the watchdog last spared a debugger */
    struct start_throttle throttle;
    uint64_t term_at; /* STOPPING: the next SIGTERM */
    uint64_t kill_at; /* STOPPING: SIGKILL from then on */
    bool draining;    /* STOPPING: see children_drain */
    bool herald_gone; /* draining: the keeper may go */
};

/* Makes the table of processes, and the memory that they share. */
int children_init(struct children *c, const struct server *s, struct loop *loop, struct err *err);
void children_free(struct children *c);

/* Starts the recovery; the others follow by themselves. */
void children_start(struct children *c);
/* Starts a process for a command (control_door.h). Like the others it can cause a recovery, and is
 * killed for one, but it isn't replaced. Returns false if it can't be started now. */
bool children_lend(struct children *c, const struct control_door_request *r);
/* Does what is due. Call it after each round of the loop, and at least every 250 ms. */
void children_tick(struct children *c);
/* Handles the death of a process; called by the loop. status: of waitpid. */
void children_member_died(struct children_member *m, pid_t pid, int status);

/* Are all processes ready? */
bool children_ready(const struct children *c);
/* The keeper's pid; 0: it isn't running. */
pid_t children_keeper(const struct children *c);

/* Ends the processes. They have a short time to finish their requests. */
void children_stop(struct children *c);
/* Ends the processes, for others that take over their sockets: no request is cut off within
 * CHILDREN_DRAIN_MS. Pools with long requests come first, so that the others go on meanwhile, the
 * keeper comes last, and not before children_let_keeper_go. Commands are ended at once. */
#define CHILDREN_DRAIN_MS 50000
void children_drain(struct children *c);
void children_let_keeper_go(struct children *c);
/* Shortens that time. */
void children_hurry(struct children *c);
bool children_gone(const struct children *c);

/* For CHILDREN_BROKEN: fills err with what is wrong, and what to do. Returns -1. */
int children_error(const struct children *c, struct err *err);
