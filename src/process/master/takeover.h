#pragma once

#include <stdbool.h>
#include "process/master/control_door.h"
#include "process/server/handover.h"
#include "process/server/server.h"
#include "util/loop.h"

/* A program takes the place of the running one: the same one after SIGHUP, if the configuration has
 * changed, or another one (the command upgrade). The steps:
 *
 *   1. The program is run as "check" with our arguments. If it finds a fault, all stays as it is.
 *   2. The master ends all children but nginx, each after its last request. Requests wait in the
 *      sockets meanwhile.
 *   3. The master executes the program, which has the same pid, and so the same children and
 *      parent. It gets the records of process/server/handover.h. */

enum takeover_state {
    TAKEOVER_NONE,
    TAKEOVER_CHECKING,
    TAKEOVER_READY, /* the second step is to begin */
};

struct takeover {
    const struct server *server;
    struct loop *loop;
    enum takeover_state state;
    bool again;  /* SIGHUP came meanwhile */
    bool ended;  /* a check: the state has become TAKEOVER_NONE; see takeover_has_ended */
    int program; /* to execute */
    int caller;  /* of the command upgrade; -1: SIGHUP */
    struct loop_child check;
    int said; /* what it prints; -1 */
    int said_end;
    struct loop_fd readable;
    struct loop_timer limit;
    struct buf text;
};

void takeover_init(struct takeover *t, const struct server *s, struct loop *loop);
/* Ends a check that runs. Its caller hears no more than that the connection ends. */
void takeover_free(struct takeover *t);

/* SIGHUP: reads the options again. If there are others that can count without a restart, begins
 * the first step. Logs the others, and errors. False: nothing is to be done. */
bool takeover_reload(struct takeover *t);

/* Is it the request of the command upgrade? Then takes it, and begins the first step. */
bool takeover_request(struct takeover *t, struct control_door_request *r);

/* True once after a check that found a fault, which is logged, and told to the caller. */
bool takeover_has_ended(struct takeover *t);

/* The last step. Returns only after a failure: then the children have to be started again. */
void takeover_exec(struct takeover *t, struct handover *h);

/* In the new program: it serves. Answers the caller of the command. */
void takeover_done(const struct handover *from);
