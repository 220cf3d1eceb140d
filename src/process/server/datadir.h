#ifndef PROCESS_SERVER_DATADIR_H
#define PROCESS_SERVER_DATADIR_H

#include <stdbool.h>
#include <sys/types.h>
#include "process/server/privileges.h"
#include "util/err.h"

/* The directory with all that the registry keeps: made, checked to be ours, locked. From
 * datadir_open on it is the working directory, and all names are relative to it, so that it also
 * works below a directory that is closed to the user whom the server becomes. */
struct datadir {
    const char *name; /* as the user gave it, for messages */
    int fd;
    int lock; /* db/lock; children that open the database keep it, so that no new master recovers
                 under the feet of orphans */
};

/* Makes it and the directories below, for `who`, while still root; refuses a directory in which
 * another program, another user or a newer version keeps something, or where a server runs. */
int datadir_open(struct datadir *d, const char *name, const struct privileges *who,
                 struct err *err);

/* For the commands that only change users, whether a server runs or not: opens the directory, which
 * becomes the working directory, without its lock. d->lock is -1, and d->fd is the caller's to
 * close, also after a failure. auth/ has to belong to `who`. With `make` it is made if it isn't
 * there, and so is the whole, so that there can be users before the first start; refuses then what
 * datadir_open refuses. 1, or without `make` 0: there is no auth/; -1. */
int datadir_open_auth(struct datadir *d, const char *name, bool make, const struct privileges *who,
                      struct err *err);

/* Does a server run on it? Asks without waiting. */
bool datadir_is_served(const struct datadir *d);

/* The user whose registry is in this directory: whoever has db/format, else auth/ if that isn't
 * root's. False when it tells nothing. */
bool datadir_owner(const char *name, uid_t *uid);

/* Who a command is to be: as datadir_owner says, when it is root's and without --run-as; else as
 * the server. */
int datadir_plan(const char *name, const char *run_as, struct privileges *who, struct err *err);

/* For commands that need the store: opens a directory in which there is one, without its lock; it
 * becomes the working directory. d->fd is the caller's to close, also after a failure. */
int datadir_open_ours(struct datadir *d, const char *name, const struct privileges *who,
                      struct err *err);
/* And takes the lock, if nobody has it: 1, 0, -1. */
int datadir_lock(struct datadir *d, const struct privileges *who, struct err *err);

/* After the change of user: can all of it be written to? Marks a new one as ours (db/format), and
 * removes what a server that was killed has left in run/. */
int datadir_begin(const struct datadir *d, const struct privileges *who, struct err *err);

#endif
