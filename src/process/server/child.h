#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "domain/registry.h"
#include "process/server/server.h"
#include "storage/kv/kv_slot.h"

/* The steps that all forked children share (nginx is not one of them). */

/* Their exit codes. All except CHILD_DONE make the master recover the database, unless the slot
 * says that the child was outside of it. */
enum child_exit {
    CHILD_DONE = 0,
    CHILD_FAILED = 1,
    CHILD_LOST = 70,     /* the database needs a recovery */
    CHILD_FAULT = 72,    /* a recovery failed because of the machine, which may pass */
    CHILD_DAMAGED = 73,  /* a recovery has found damage, which it would find again */
    CHILD_REFUSED = 74,  /* a recovery was done, but the options don't fit this store */
    CHILD_NO_SPACE = 71, /* the disk is full: no fault of anything here */
};

/* The first call after fork. The child dies with the master, gives up rights and terminal, closes
 * all descriptors but stdio, the data directory, its lock and `keep` (up to CHILD_KEEP_MAX), and
 * sets its signals: SIGTERM calls on_term (NULL: ignored); signals of the terminal are left to the
 * master. */
#define CHILD_KEEP_MAX 6
void child_begin(const struct server *s, pid_t master, const int *keep, size_t keep_n,
                 void (*on_term)(int));

/* The parent's side: logs that a process has died, with its exit code or signal; status is
 * waitpid's. */
void child_log_death(const char *name, pid_t pid, int status);

/* Fills the registry that the floors below work on, from the options. */
void child_registry(const struct server *s, struct kv *kv, struct registry *reg);

/* A child's place in the master's table of processes, in memory that it shares with others. */
struct child_place {
    struct kv_slot *slot;
    struct metrics_place *counts;
};

/* Opens the database, or ends the process. *reg: the registry that the floors below work on. */
void child_open(const struct server *s, const struct child_place *place, struct registry *reg);
