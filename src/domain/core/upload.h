#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* An upload: a POST, any number of PATCHes, and the closing PUT. While it is open, it has a row in
 * table upload, and its bytes are in a file (storage/files/upload_dir.h), whose length is the size
 * of the upload. It belongs to one repository and to the user who began it.
 */

/* An upload that this request has begun or found: repository and owner have been checked. */
struct upload {
    char id[RECORD_UPLOAD_ID_MAX];
    const char *repository; /* the caller's text */
    uint64_t size;          /* bytes so far */
};

/* A piece of an upload, in a file that was written by nginx. */
struct upload_chunk {
    const char *body_file; /* "": there is no piece */
    uint64_t size;
    bool has_range;
    uint64_t first;      /* with has_range: where the piece begins, as the client says */
    uint64_t range_size; /* the same for its size. ERR_BAD_RANGE if `first` is not the upload's
                          * size, ERR_BAD_SIZE if this is not `size` */
};

/* Begins an upload. The repository need not exist: the blob will create it. ERR_FULL:
 * --max-repositories is reached. ERR_TOO_MANY: --max-uploads is reached. */
int upload_begin(const struct registry *reg, const char *repository, const struct actor *actor,
                 struct upload *u, struct err *err);

/* Before the first byte: has the disk room for `size` more bytes? 0, or -1 and ERR_NO_SPACE. */
int upload_room(const struct registry *reg, uint64_t size, struct err *err);

/* Finds an open upload. 0, or -1: ERR_NO_UPLOAD, also if it is of another repository or user. */
int upload_find(const struct registry *reg, const char *repository, const char *id,
                const struct actor *actor, struct upload *u, struct err *err);

/* The following functions lock the upload, and fail with ERR_NO_UPLOAD if another request has
 * closed it meanwhile. ERR_FULL (a quota, or as in upload_begin) and ERR_TOO_LARGE end the upload.
 * ERR_BAD_RANGE: the piece doesn't continue the upload, or another PUT is closing it. u->size is
 * then, as after success, the present size. */
int upload_append(const struct registry *reg, struct upload *u, const struct upload_chunk *chunk,
                  struct err *err);

/* Appends the last piece, if there is one, checks that all bytes hash to d, and makes them a blob
 * of the repository. ERR_DIGEST_MISMATCH and ERR_UNSYNCED also end the upload, and remove all of
 * it. */
int upload_finish(const struct registry *reg, struct upload *u, const struct upload_chunk *chunk,
                  const struct digest *d, struct err *err);

int upload_cancel(const struct registry *reg, const struct upload *u, struct err *err);
