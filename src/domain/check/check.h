#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* The check of a whole store ("fsck"), beside a server that uses it or alone. check_table.c says
 * what must be true of each record, and what a repair does.
 *
 * The store changes while it is read. So a rule that doesn't hold is looked at again, in one
 * transaction with all that it is about, before it is reported; what is about a file is looked at
 * again after the file. Records are read in batches, with no cursor open between two of them, so
 * memory, locks and the length of transactions don't depend on the size of the store. */

struct check_finding {
    const char *kind;   /* a word from check_table.c; the same in all versions */
    const char *what;   /* the object */
    const char *must;   /* what must be true */
    const char *why;    /* what is wrong */
    const char *repair; /* what a repair does; NULL: nothing can be done here */
    bool repaired;
};

struct check_watch {
    void (*found)(void *arg, const struct check_finding *f);
    /* Progress, called often. part: what is read now. */
    void (*tell)(void *arg, const char *part, uint64_t entries, uint64_t bytes);
    bool (*is_over)(void *arg); /* the caller wants no more */
    void *arg;
};

#define CHECK_UNKEPT_MAX 4096
#define CHECK_HISTORIES_MAX 1024

/* A target that the history of a tag keeps, or a deleted manifest (check_history.h). */
struct check_history {
    struct digest digest;
    uint64_t repo, until;
    char tag[RECORD_REPOSITORY_MAX + 1]; /* has room for any text of a key */
    bool trashed, has_job;
};

struct check {
    const struct registry *reg;
    const struct check_watch *watch;
    bool repair;
    bool alone;      /* nobody else has the store open */
    bool damaged;    /* pages of its tables can't be read, which was reported: what can be read is
                      * judged. Not with repair. It is a copy; of the rules about files, the one that
                      * blobs have theirs is judged */
    struct kv *live; /* what was copied, if a server uses it; else NULL */
    uint64_t rate;   /* bytes a second that are hashed; 0: no limit */

    uint64_t entries, bytes, blobs, indexes; /* that were looked at */
    uint64_t findings, repaired;
    uint64_t waiting; /* damaged blobs that wait to be pushed again */

    /* for the functions of the room */
    bool has_names; /* table repo_name has all repositories */
    const char *part;
    char why[ERR_MESSAGE_MAX];
    struct check_document *document; /* the manifest that was read last */
    struct digest *unkept;           /* blobs and images that nothing keeps: is there a job? */
    size_t unkept_n;
    struct check_history *histories; /* is there a job? */
    size_t histories_n;
    uint64_t quota_error; /* what has to be added to the quota at hand */
    uint64_t hashed, hashed_since_ms;
};

/* Checks all records, and that blobs have their files. 0; -1: it could not be done, or was ended.
 */
int check_records(struct check *c, struct err *err);

/* Reads all indexes, and looks for files without a record, also of uploads. */
int check_files(struct check *c, struct err *err);

/* Reads all blobs, and compares them with their digests. At the end it counts those that wait, also
 * because of this check. */
int check_digests(struct check *c, struct err *err);

/* ---- for the room ---- */

/* Looks whether to go on, and shows progress. 0, or -1. */
int check_tick(struct check *c, struct err *err);
void check_report(struct check *c, const struct check_finding *f);
/* Fills c->why, and returns 0: "the rule doesn't hold". */
int check_fails(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A repair failed, which ends it for this object alone: says so in c->why. */
void check_add_failure(struct check *c, const struct err *err);
