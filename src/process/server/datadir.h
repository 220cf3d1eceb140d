#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include "process/server/privileges.h"
#include "util/err.h"

/* The data directory: made, checked to be ours, locked. From datadir_open on it is the working
 * directory, and all names are relative to it, so that it also works below a directory that is
 * closed to the user that the server becomes. */
struct datadir {
    const char *name; /* as the user gave it, for messages */
    int fd;
    int lock; /* db/lock. Children that open the database hold it, so that no new master recovers
               * the database under orphans */
};

/* Makes it and the directories below for `who`, while the process is still root. Refuses a
 * directory in which another program, another user or a newer version keeps something, or on which
 * a server runs. */
int datadir_open(struct datadir *d, const char *name, const struct privileges *who,
                 struct err *err);

/* For commands that only change users, with or without a running server. Opens the directory
 * without its lock; it becomes the working directory. d->lock is -1, and the caller closes d->fd,
 * also after a failure. auth/ must belong to `who`. With `make` it is made if it is missing, and so
 * is the rest, so that users can be added before the first start; it then refuses what datadir_open
 * refuses. 1; 0: without `make`, there is no auth/; -1. */
int datadir_open_auth(struct datadir *d, const char *name, bool make, const struct privileges *who,
                      struct err *err);

/* Does a server run on it? Doesn't wait. */
bool datadir_is_served(const struct datadir *d);

/* The owner of the registry in this directory: the owner of db/format, else of auth/ if that isn't
 * root. False: unknown. */
bool datadir_owner(const char *name, uid_t *uid);

/* The user that a command becomes: the one of datadir_owner, if the command is run by root without
 * --run-as; else as for the server. */
int datadir_plan(const char *name, const char *run_as, struct privileges *who, struct err *err);

/* For commands that need the store: opens a directory that has one, without its lock. It becomes
 * the working directory. The caller closes d->fd, also after a failure. */
int datadir_open_ours(struct datadir *d, const char *name, const struct privileges *who,
                      struct err *err);
/* Then takes the lock, if it is free: 1, 0, -1. */
int datadir_lock(struct datadir *d, const struct privileges *who, struct err *err);

/* After the change of user: checks that everything can be written to, marks a new directory as ours
 * (db/format), and removes the files that a killed server left in run/. */
int datadir_begin(const struct datadir *d, const struct privileges *who, struct err *err);
