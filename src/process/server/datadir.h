#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include "process/server/privileges.h"
#include "util/err.h"

/* The data directory. It is found or made as the user that the process was started by, mostly root,
 * and opened as the user that the process has become. Root owns the directory, so that nobody else
 * can exchange the names in it; the directories below it belong to the server's user, and root
 * makes, opens and changes nothing in them. If the directory itself isn't root's alone, root does
 * nothing in it at all.
 *
 * From datadir_find or datadir_make on it is the working directory, and all names are relative to
 * it, so that it also works below a directory that is closed to the server's user. */
struct datadir {
    const char *name; /* as the user gave it, for messages */
    int fd;
    bool restoring; /* a restore fills it */
    int lock; /* db/lock. Children that open the database hold it, so that no new master recovers
               * the database under orphans */
};

/* As the user that started the process. Both leave d->lock at -1; the caller closes d->fd, also
 * after a failure. */

/* Opens a directory that must exist. */
int datadir_find(struct datadir *d, const char *name, const struct privileges *who,
                 struct err *err);
/* Makes the directory and those directly below it for `who`. Refuses a directory in which another
 * program or another user keeps something. Takes over a directory that an earlier version gave to
 * `who`, and logs that. */
int datadir_make(struct datadir *d, const char *name, const struct privileges *who,
                 struct err *err);

/* As the user that the process has become, who->user: */

/* Makes what is missing, and takes the lock, unless the process has it. Refuses a directory in
 * which another program, another user or a newer version keeps something, or on which a server
 * runs. */
int datadir_open(struct datadir *d, const struct privileges *who, struct err *err);
/* Would datadir_make and datadir_open take this directory, which exists? Apart from the lock. Both
 * change nothing. The first one is for the user that started the process, the second one for the
 * user that it has become. */
int datadir_look_owners(const struct datadir *d, const struct privileges *who, struct err *err);
int datadir_look(const struct datadir *d, const struct privileges *who, struct err *err);
/* For a restore, which has set d->restoring before datadir_make: marks the directory as unfinished
 * after datadir_open, and as a data directory at the end. datadir_open then takes an empty
 * directory, and one that is marked so. */
int datadir_begin_restore(const struct datadir *d, struct err *err);
int datadir_end_restore(const struct datadir *d, const struct privileges *who, struct err *err);
/* For commands that only change users, with or without a running server: checks that auth/ belongs
 * to `who`. With `make` it is made if it is missing, and so users can be added before the first
 * start; it then refuses what datadir_open refuses. 1; 0: without `make`, there is no auth/; -1. */
int datadir_open_auth(const struct datadir *d, bool make, const struct privileges *who,
                      struct err *err);
/* The error for a command on a directory in which no server has run. Returns -1. */
int datadir_none(const char *name, struct err *err);
/* For commands that need the store: checks that there is one of a known format. */
int datadir_check(const struct datadir *d, const struct privileges *who, struct err *err);
/* Then takes the lock, if it is free: 1, 0, -1. */
int datadir_lock(struct datadir *d, const struct privileges *who, struct err *err);
/* The same without writing: keeps a server from starting. 1, also in a directory that no server has
 * used, such as a backup; 0, -1. */
int datadir_hold(struct datadir *d, struct err *err);
/* Checks that everything can be written to, marks a new directory as ours (db/format), and removes
 * the files that a killed server left in run/. */
int datadir_begin(const struct datadir *d, const struct privileges *who, struct err *err);

/* Writes the mark of a store of this format, db/format, or another name for a database that becomes
 * db/. */
int datadir_write_format(const struct datadir *d, const char *name, struct err *err);

/* Does a server use the directory? Doesn't wait. */
bool datadir_is_served(const struct datadir *d);
