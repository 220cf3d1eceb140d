#pragma once

#include "domain/access/access.h"
#include "domain/registry.h"
#include "domain/transfer/import_access.h"
#include "domain/transfer/import_files.h"
#include "domain/transfer/import_set.h"
#include "storage/tables/record.h"
#include "util/buf.h"
#include "util/digest.h"
#include "util/err.h"

/* The state of an import, and its current repository. In this room, functions that import something
 * return 1 if it is in the store now; 0 if it was left out and a complaint was made; and -1 if the
 * whole import must stop. */

/* The largest manifest, as for a push. */
#define IMPORT_DOCUMENT_MAX ((size_t)4 << 20)

/* How to find documents and blobs in the current repository of the source. */
struct import_source {
    /* Reads the manifest with that digest into out. Returns 1; 0 if the repository has no such
     * manifest, or the file is larger than out->max; or -1. */
    int (*document)(void *arg, const struct digest *d, struct buf *out, struct err *err);
    /* Opens a blob; the caller calls import_files_shut. Returns 1, 0 (there is none), -1. */
    int (*blob)(void *arg, const struct digest *d, struct import_file *file, struct err *err);
    void *arg;
};

struct import_store {
    const struct registry *reg;
    const struct import_access *access;
    const struct import_source *source;
    const char *prefix; /* NULL: none */
    struct import_counts *counts;
    struct actor actor;
    struct import_set blobs;        /* counted */
    struct import_set bad;          /* blobs that were complained of */
    struct import_set repositories; /* counted; hashes of their names */
    struct import_set names;        /* NAME:TAG that were given by import_manifest_name; hashes */
    /* of the current repository: */
    struct import_set taken;              /* imported manifests */
    struct import_set refused;            /* manifests that were complained of */
    struct import_set joined;             /* blobs that it may serve */
    char name[RECORD_REPOSITORY_MAX + 1]; /* with the prefix */
    struct rec_repo repo;
    bool ensured; /* the repository exists, and repo is set */
};

void import_store_begin(struct import_store *s, const struct registry *reg,
                        const struct import_access *access, const char *prefix,
                        struct import_counts *counts);
void import_store_end(struct import_store *s);

/* Makes a repository of the source the current one. name: as in the source. It is created when the
 * first blob, manifest or tag is imported into it. */
int import_store_enter(struct import_store *s, const char *name, struct err *err);

/* Creates the current repository now, unless it exists. */
int import_store_ensure(struct import_store *s, struct err *err);

/* These count an item of the current repository that is in the store. They return 1. */
int import_store_count_blob(struct import_store *s, const struct digest *d);
int import_store_count_tag(struct import_store *s);
int import_store_count_repository(struct import_store *s);

/* Complains that something was left out. Returns 0. */
int import_store_leave_out(struct import_store *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The same for an item that failed with this error, whose message is the reason. Returns 0, or -1
 * if the error is fatal. fmt names the item. */
int import_store_failed(struct import_store *s, const struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Reports anything else. */
void import_store_say(struct import_store *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* True if the error concerns the registry or the machine, and not the item: then the import must
 * stop. */
bool import_store_is_fatal(const struct err *err);

/* For loops: 0, or -1 when the caller of the import wants it to stop. */
int import_store_go_on(const struct import_store *s, struct err *err);
