#pragma once

#include "domain/access/access.h"
#include "domain/transfer/import.h"
#include "domain/transfer/import_files.h"
#include "domain/transfer/import_set.h"
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/buf.h"
#include "util/digest.h"
#include "util/err.h"

/* The half of an import that is the same for all sources: manifests, tags and blobs into the store.
 *
 * All of these return 1 when it is here now, whoever brought it; 0 when it was left out, which was
 * said; and -1 when the whole import has to stop. */

/* Where a source keeps things. Both look into the repository that import_store_enter named. */
struct import_source {
    /* The document of that digest into out, if it is one of that repository (and no blob). 1, 0 (a
     * file larger than out->max is no document either), -1. */
    int (*document)(void *arg, const struct digest *d, struct buf *out, struct err *err);
    /* The file of a blob, for the caller to shut. 1, 0, -1. */
    int (*blob)(void *arg, const struct digest *d, struct import_file *file, struct err *err);
    void *arg;
};

/* Manifests within manifests. */
#define IMPORT_STORE_DEPTH_MAX 100

struct import_store {
    const struct registry *reg;
    const struct import_access *access;
    const struct import_source *source;
    const char *prefix; /* NULL: none */
    struct import_counts *counts;
    struct actor actor;
    struct import_set blobs;        /* counted */
    struct import_set bad;          /* blobs that were complained of */
    struct import_set repositories; /* counted; the hashes of their names */
    /* of this repository: */
    struct import_set taken;              /* manifests that are here */
    struct import_set refused;            /* that were complained of */
    struct import_set joined;             /* blobs that it may serve */
    char name[RECORD_REPOSITORY_MAX + 1]; /* of the repository, with the prefix */
    struct rec_repo repo;
    bool ensured; /* the repository is there */
};

void import_store_begin(struct import_store *s, const struct registry *reg,
                        const struct import_access *access, const char *prefix,
                        struct import_counts *counts);
void import_store_end(struct import_store *s);

/* What follows is about the repository that has this name in the source. It is made with the first
 * thing that comes into it. */
int import_store_enter(struct import_store *s, const char *name, struct err *err);

/* Makes it now, for whoever puts something into it by himself. */
int import_store_ensure(struct import_store *s, struct err *err);

/* The manifest with all that it refers to. media_type: what somebody says that it is, in case that
 * it doesn't say so itself; "" when nobody does. */
int import_store_manifest(struct import_store *s, const struct digest *d, const char *media_type,
                          struct err *err);

/* Points the tag at it, after it is here. */
int import_store_tag(struct import_store *s, const char *tag, const struct digest *d,
                     const char *media_type, struct err *err);

/* Counts a tag of this repository, and the repository. */
int import_store_count_tag(struct import_store *s);

/* The blob of that digest, for this repository. */
int import_store_blob(struct import_store *s, const struct digest *d, struct err *err);

/* Counts a blob that is in the store. */
int import_store_count_blob(struct import_store *s, const struct digest *d);

/* Says that something was left out. Returns 0. */
int import_store_leave_out(struct import_store *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Says something else. */
void import_store_say(struct import_store *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Is it the machine's fault, or ours, so that nothing else would go better? */
bool import_store_is_fatal(const struct err *err);

/* For loops: 0, or -1 when it is to stop. */
int import_store_go_on(const struct import_store *s, struct err *err);
