#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* An upload, from POST over any number of PATCHes to the closing PUT. While it is open it has a row
 * in table upload; its bytes are in its directory (storage/files/upload_dir.h), and the length of
 * the file there is the size of the upload. It belongs to one repository, and to the user who began
 * it. */

/* An upload that was begun or found in this request: its repository and its owner are checked. */
struct upload {
    char id[RECORD_UPLOAD_ID_MAX];
    const char *repository; /* the caller's text */
    uint64_t size;          /* bytes so far */
};

/* A piece of an upload, in a file that nginx has written. */
struct upload_chunk {
    const char *body_file; /* "" for no piece at all */
    uint64_t size;
    bool has_range;
    uint64_t first;      /* with has_range: the offset in the upload that the client names, */
    uint64_t range_size; /* and the size. ERR_BAD_RANGE if it is no continuation, else ERR_BAD_SIZE
                          * if it isn't `size` */
};

/* The repository need not exist: it begins with the blob. ERR_FULL: it would be one too many, and
 * ERR_TOO_MANY: the upload would be. */
int upload_begin(const struct registry *reg, const char *repository, const struct actor *actor,
                 struct upload *u, struct err *err);

/* Before the first byte: does the disk have room for `size` more bytes? 0, or -1. */
int upload_room(const struct registry *reg, uint64_t size, struct err *err);

/* 0, or -1: ERR_NO_UPLOAD also for an upload of another repository or user. */
int upload_find(const struct registry *reg, const char *repository, const char *id,
                const struct actor *actor, struct upload *u, struct err *err);

/* The following functions lock the upload, and fail with ERR_NO_UPLOAD if another request has
 * closed it in the meantime. u->size is the size afterwards, also after ERR_BAD_RANGE: the piece
 * doesn't continue the upload, or another PUT is closing it. */
int upload_append(const struct registry *reg, struct upload *u, const struct upload_chunk *chunk,
                  struct err *err);

/* Appends the last piece, if there is one, checks that all bytes hash to d, and commits them as a
 * blob of the repository. ERR_FULL, as in upload_begin. ERR_DIGEST_MISMATCH ends the upload as
 * well: nothing of it is left. */
int upload_finish(const struct registry *reg, struct upload *u, const struct upload_chunk *chunk,
                  const struct digest *d, struct err *err);

int upload_cancel(const struct registry *reg, const struct upload *u, struct err *err);

/* Ends the uploads that received nothing for --upload-expiry, and removes directories that belong
 * to no upload. */
int upload_expire(const struct registry *reg, struct err *err);
