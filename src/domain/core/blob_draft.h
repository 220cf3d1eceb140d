#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/files/blob_file.h"
#include "storage/kv/kv.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* A blob_draft is a file that becomes a blob. A record must never name a file that isn't durable,
 * and a transaction must not touch files. So there are three steps:
 *
 * - blob_draft_begin, before the transaction: publishes a durable file, unless the blob's record
 *   exists. For a draft of bytes, which are few, it also checks the file of that record. If that
 *   file is damaged, the new one takes its place.
 *
 * - blob_draft_put, in the transaction, at table blob: puts the record, or keeps the existing one.
 *
 * - blob_draft_settle, after the last transaction, whether it succeeded or failed: removes the file
 *   if no record names it. A damaged one that was replaced goes into the quarantine.
 *
 * blob_draft_commit does all three around one transaction. */
struct blob_draft {
    const struct registry *reg;
    struct digest digest;
    uint64_t size;
    enum {
        BLOB_DRAFT_NO_FILE, /* the blob must be in the store already */
        BLOB_DRAFT_FD,
        BLOB_DRAFT_BYTES,
    } source;
    int fd;                          /* remains the caller's */
    const struct blob_file_link *by; /* links fd (blob_file_adopt); NULL: this process links it */
    struct bytes content;

    bool published; /* blob_draft_begin has published a file */
    uint64_t instance;
    uint64_t wall_ms, boot_ms; /* when that was done */
    bool replaces;             /* the file of `damaged` is not right */
    uint64_t damaged;          /* that instance */
    bool unlinkable;           /* blob_draft_begin failed because `by` can't link the file */
    bool named;                /* blob_draft_put: the record is new, and names our file */
    bool gone; /* blob_draft_put failed: there is neither a record nor a file of ours */
};

/* A draft of an open file whose bytes hash to d. */
struct blob_draft blob_draft_of_fd(const struct registry *reg, const struct digest *d, int fd,
                                   uint64_t size);
/* A draft of bytes in memory. */
struct blob_draft blob_draft_of_bytes(const struct registry *reg, const struct digest *d,
                                      struct bytes content);
/* A draft without a file: the blob is expected to be in the store. */
struct blob_draft blob_draft_of_stored(const struct registry *reg, const struct digest *d);

int blob_draft_begin(struct blob_draft *d, struct err *err);

/* leased_until: the record's lease lasts at least until then. 0, or -1. ERR_BUSY and d->gone: the
 * record was deleted after blob_draft_begin; calling that again publishes a file. ERR_BUSY without
 * d->gone: the file is so old that the sweep of another node may have removed it, since this
 * machine was suspended. */
int blob_draft_put(struct txn *t, struct blob_draft *d, uint64_t leased_until, struct err *err);

void blob_draft_settle(struct blob_draft *d);

/* Does all three steps. fn is the transaction, and calls blob_draft_put once. If the record was
 * deleted meanwhile, the steps are repeated, and a file is published. */
int blob_draft_commit(struct blob_draft *d, int (*fn)(struct txn *t, void *arg, struct err *err),
                      void *arg, struct err *err);
