#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/backup/blob_copy.h"
#include "domain/registry.h"
#include "storage/files/backup_lock.h"
#include "util/err.h"

/* Moves the metadata of a registry from its data directory into a remote database, or back, and
 * perhaps its blobs to another place. All that was copied stays for the next run, which only copies
 * what has changed since. So a run beside the server makes the last one short.
 *
 * Everything is verified: each blob is there, those that are copied by their digest, and the
 * records by reading all of them again. */

/* The store of the data directory. */
#define MIGRATE_EMBEDDED "db"
struct migrate {
    const struct registry *reg;
    const char *database;           /* the URL of the remote one; reg has it, or it is the target */
    const struct blob_store *blobs; /* where the blobs go; NULL: they stay where they are */
    bool is_last;                   /* no server uses the registry: the move is completed */
    /* A file in db/ of the data directory, which holds the URL while the registry is in the remote
     * database: what db/ has is out of date then. */
    const char *moved;
    struct backup_lock_wait wait; /* for another backup or snapshot */
    void (*tell)(void *arg, const char *what, uint64_t n);
    void (*complain)(void *arg, const char *text);
    bool (*is_over)(void *arg);
    /* Back, with is_last: -1 if another server uses the remote database. */
    int (*is_alone)(void *arg, struct err *err);
    void *arg;

    uint64_t records, changes;           /* of the metadata, and how many of them were written */
    struct blob_copy copied;             /* the numbers of its last walk over the blobs */
    uint64_t copied_blobs, copied_bytes; /* in all of them */
};

/* With is_last: afterwards a server starts with the new places only. 0; -1: it can be repeated. */
int migrate_run(struct migrate *m, struct err *err);

/* Before the source is opened, with is_last: if an earlier call was killed when both places were
 * out of use, the source is put into use again. moved, database: as above. 0 or -1. */
int migrate_resume(int dirfd, const char *moved, const char *database, bool is_back,
                   struct err *err);
