#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/backup/backup_info.h"
#include "domain/registry.h"
#include "util/err.h"

/* A backup of one moment: a copy of the database, the blob files that it names, and the files of
 * auth/ and hooks/. What is derived or temporary (index/, run/, uploads/) is left out.
 *
 * The process that works here reads the store, and isn't trusted more than the server. The place of
 * the backup may belong to another user: it is asked to make each file, and gives it a name only
 * when the file is durable. */

struct backup_counts {
    uint64_t blobs, bytes;         /* of the registry; 0 until they are counted */
    uint64_t seen, seen_bytes;     /* so far */
    uint64_t new_blobs, new_bytes; /* those that had to be copied */
    uint64_t damaged;
};

struct backup_place {
    const char *newest; /* the name of the newest backup there, complete or not; NULL: none */
    /* Is the file of a blob there, or in the backup before? It is then given to this one. 1, 0, -1.
     */
    int (*have)(void *arg, const char *name, uint64_t size, struct err *err);
    /* The same for another file, if it has this hash. */
    int (*have_same)(void *arg, const char *name, const struct digest *digest, struct err *err);
    /* Opens a new file for writing. It has no name before `keep`, which is called when it has been
     * written and synced. Another `create` without `keep` drops it. */
    int (*create)(void *arg, const char *name, unsigned mode, int *fd, struct err *err);
    int (*keep)(void *arg, struct err *err);
    /* Makes everything durable, and the backup complete under that name. 1; 0: there is a backup of
     * that name; -1. */
    int (*finish)(void *arg, const char *name, struct err *err);

    /* Another backup or a snapshot runs: how long to wait for it, and called meanwhile with who
     * that is (storage/files/backup_lock.h). */
    uint64_t wait_ms;
    void (*wait)(void *arg, const char *holder);

    bool (*is_over)(void *arg);
    void (*tell)(void *arg, const char *what, const struct backup_counts *n);
    void (*complain)(void *arg, const char *text);
    void *arg;
};

/* Makes a backup. `name` becomes its name. Files of blobs that are missing or don't have their
 * digest are complained of, left out and noted in the backup. 0 or -1; ERR_BUSY: another one runs,
 * or is_over. After -1 it can be repeated, and begins with what was copied. */
int backup_make(const struct registry *reg, const struct backup_place *to,
                char name[BACKUP_TIME_MAX], struct backup_counts *n, struct err *err);
