#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/err.h"

/* The things that the caller of an import provides: the files of the source, and a place for
 * messages. The caller opens files with the rights of the user who asked for the import. */

struct import_counts {
    size_t repositories; /* with at least one imported tag or manifest */
    size_t tags;         /* that point to their manifest now */
    size_t blobs;        /* layers and configs of the imported images, each counted once */
    size_t linked;       /* of these, added by this run as a link */
    size_t copied;       /* of these, added by this run as a copy */
    size_t left_out;     /* complaints */
    uint64_t bytes;      /* read so far */
    size_t at;           /* number of the item in progress, */
    size_t all;          /* of this many; 0: not counted yet */
    const char *of;      /* "repositories", "images" or "tags" */
};

struct import_access {
    /* Opens a directory or regular file of the source for reading; "" is the source itself. Follows
     * symbolic links only with `links`, and none that leads out of the source. Returns 1, 0 (there
     * is none), or -1 and ERR_NO_FILE. The caller closes *fd. */
    int (*open)(void *arg, const char *path, bool links, int *fd, struct err *err);
    /* Opens the listing (import_listing.h), likewise. 0: none was given. */
    int (*listing)(void *arg, int *fd, struct err *err);
    /* As struct blob_file_link, for the file that was opened last. */
    int (*link)(void *arg, const char *to, struct err *err);
    /* True to stop the import. Called often. */
    bool (*is_over)(void *arg);
    /* Progress. Called often. */
    void (*tell)(void *arg, const struct import_counts *counts);
    /* Tells what was left out, and why: one line of printable ASCII. */
    void (*complain)(void *arg, const char *text);
    void *arg;
};
