#pragma once

#include <stdbool.h>
#include "domain/backup/backup.h"
#include "util/err.h"

/* The place from which a backup is read. Its files may belong to another user, so they are opened
 * by a process that has the right. */
struct restore_source {
    const char *what; /* the backup, for messages */
    /* Opens a file of the backup. 1, 0 (there is none), -1. */
    int (*open)(void *arg, const char *name, int *fd, struct err *err);
    bool (*is_over)(void *arg);
    void (*tell)(void *arg, const char *what, const struct backup_counts *n);
    void *arg;
};

/* database: the address of a remote one that gets the metadata; NULL: the data directory does.
 * Fills a data directory, the working directory, whose directories were made and are empty, or hold
 * what an earlier call has left. Each file is verified with its hash while it is copied, the
 * database as a whole, and everything is durable at the end. db/format isn't written, so that the
 * directory doesn't count as a registry until the caller writes db/format. 0, -1; ERR_CORRUPT: the
 * backup isn't whole. */
int restore_make(const struct blob_store *blobs, const char *database,
                 const struct restore_source *from, struct backup_counts *n, struct err *err);
