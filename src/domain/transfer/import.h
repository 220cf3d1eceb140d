#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "util/err.h"

/* Taking over the images of somebody else: a data directory of docker-registry, an OCI layout, what
 * "docker save" writes, a directory of the original docker-registry-server. Nothing of it is
 * believed: every document and blob is hashed, names are those that a push may use, and what a
 * manifest refers to has to be there. What isn't good is said and left out, and all else comes in.
 *
 * Each manifest, tag and blob is a decision of its own, as in a push, but nobody hears of it: no
 * events, no hooks. What is here already is neither read nor written again; so an import that broke
 * off goes on where it was, and one that is repeated fetches what is new. */

struct import_counts {
    size_t repositories; /* of which something is here now */
    size_t tags;         /* that point where they should */
    size_t blobs;        /* layers and configs of these images, each once; of them in this run */
    size_t linked;
    size_t copied;
    size_t left_out; /* what was complained of */
    uint64_t bytes;  /* that were read so far */
    size_t at;       /* the number of the one that is at hand, */
    size_t all;      /* of so many (0: they aren't counted yet) */
    const char *of;  /* "repositories", "images" or "tags" */
};

/* Whoever wants the import, and all that is outside of the store, with his rights. */
struct import_access {
    /* Opens for reading what is called so below the source ("" for the source itself): a directory
     * or a regular file, to which no symbolic link leads. 1, 0: there is none; -1: ERR_NO_FILE when
     * it can't be had. *fd is the caller's to close. */
    int (*open)(void *arg, const char *path, int *fd, struct err *err);
    /* The listing (import_listing.h): likewise; 0: none was given. */
    int (*listing)(void *arg, int *fd, struct err *err);
    /* As struct blob_file_link, for the file that was opened last. */
    int (*link)(void *arg, const char *to, struct err *err);
    /* Is it to stop? Asked often. */
    bool (*is_over)(void *arg);
    /* How far it is; called often. */
    void (*tell)(void *arg, const struct import_counts *counts);
    /* What was left out, and why: one line of printable characters. */
    void (*complain)(void *arg, const char *text);
    void *arg;
};

/* name: the last part of the source's, for images that have none; prefix: in front of each
 * repository's name, with a slash; NULL for none. 0: all that could be taken is here, see
 * counts->left_out. -1: it had to stop; what was counted is here. */
int import_run(const struct registry *reg, const struct import_access *access, const char *name,
               const char *prefix, struct import_counts *counts, struct err *err);
