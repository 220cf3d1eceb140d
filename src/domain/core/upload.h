#ifndef DOMAIN_CORE_UPLOAD_H
#define DOMAIN_CORE_UPLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* An upload: from POST over any number of PATCHes to the closing PUT. A row says that it is open;
 * its bytes, and how many there are, are in its directory (storage/files/upload_dir.h). It belongs
 * to one repository, and to the user who began it. */

struct upload {
    char id[RECORD_UPLOAD_ID_MAX];
    uint64_t size; /* bytes that have come so far */
};

/* A piece of an upload, in a file that nginx has written. */
struct upload_chunk {
    const char *body_file; /* "" for no piece at all */
    uint64_t size;
    bool has_range;
    uint64_t first; /* with has_range: where the client says that it goes */
};

/* ERR_FULL: a repository would be one too many; ERR_TOO_MANY: the upload would be. */
int upload_begin(const struct registry *reg, const char *repository, const struct actor *actor,
                 struct upload *u, struct err *err);

/* Before the first byte: has the disk room for so many more? 0, or -1. */
int upload_room(const struct registry *reg, uint64_t size, struct err *err);

/* 0, or -1: ERR_NO_UPLOAD also for an upload of another repository or user. */
int upload_find(const struct registry *reg, const char *repository, const char *id,
                const struct actor *actor, struct upload *u, struct err *err);

/* u->size is the size afterwards; also after ERR_BAD_RANGE, when the piece doesn't continue the
 * upload, or the upload is closed. */
int upload_append(const struct registry *reg, const char *repository, struct upload *u,
                  const struct actor *actor, const struct upload_chunk *chunk, struct err *err);

/* Appends the last piece, if there is one, checks that all bytes hash to d, and commits them as a
 * blob of the repository. ERR_DIGEST_MISMATCH ends the upload as well: nothing of it is left. */
int upload_finish(const struct registry *reg, const char *repository, struct upload *u,
                  const struct actor *actor, const struct upload_chunk *chunk,
                  const struct digest *d, struct err *err);

int upload_cancel(const struct registry *reg, const char *repository, const char *id,
                  const struct actor *actor, struct err *err);

/* Ends the uploads into which nothing has come for --upload-expiry, and removes the directories
 * that belong to none. */
int upload_expire(const struct registry *reg, struct err *err);

#endif
