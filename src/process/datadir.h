#ifndef PROCESS_DATADIR_H
#define PROCESS_DATADIR_H

#include "process/privileges.h"
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

/* After the change of user: can all of it be written to? Marks a new one as ours (db/format), and
 * removes what a server that was killed has left in run/. */
int datadir_begin(const struct datadir *d, const struct privileges *who, struct err *err);

#endif
