#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/access/access.h"
#include "domain/core/condition.h"
#include "domain/registry.h"
#include "storage/files/blob_file.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

struct blob {
    uint64_t size;
    uint64_t instance;
    char path[BLOB_FILE_PATH_MAX]; /* below layers/ */
};

/* Finds a blob that this repository may serve. 1, 0, -1. for_push: the actor may push, and the
 * answer tells it that it need not upload the blob; so the lease of a blob that nothing keeps is
 * renewed. */
int blob_find(const struct registry *reg, const char *repository, const struct digest *d,
              bool for_push, struct blob *b, struct err *err);

/* The same, but a blob that isn't there is -1 with ERR_NO_REPOSITORY or ERR_NO_BLOB. */
int blob_need(const struct registry *reg, const char *repository, const struct digest *d,
              bool for_push, struct blob *b, struct err *err);

/* Is the file here, with the size of its record? modified: in seconds since 1970. */
bool blob_has_file(const struct registry *reg, const struct digest *d, const struct blob *b,
                   int64_t *modified);
/* Reads the file into the arena. 1; 0: it can't be read; -1. */
int blob_read(const struct registry *reg, const struct digest *d, const struct blob *b,
              struct arena *arena, struct bytes *out, struct err *err);

/* Ends the right of the repository to serve the blob. condition: NULL for none. ERR_NO_REPOSITORY,
 * ERR_NO_BLOB, ERR_CONDITION. ERR_IN_USE: a manifest of the repository needs the blob; err->about,
 * in the arena, names one. */
int blob_delete(const struct registry *reg, const char *repository, const struct digest *d,
                const struct condition *condition, const struct actor *actor, struct arena *arena,
                struct err *err);

/* Lets repository `to` serve a blob that repository `from` may serve. from NULL: any repository
 * from which the actor may pull. The caller has checked the rights to `to` and `from`. 1, 0 (there
 * is no such blob), -1. */
int blob_mount(const struct registry *reg, const struct actor *actor, const char *to,
               const char *from, const struct digest *d, struct err *err);

/* Makes the open file fd a blob of the repository (blob_draft.h). Its `size` bytes hash to d. The
 * same transaction creates the repository if necessary. An existing blob stays as it is. ERR_FULL:
 * --max-repositories is reached. */
int blob_commit(const struct registry *reg, const char *repository, const struct digest *d, int fd,
                uint64_t size, struct err *err);

/* As blob_commit, for a file of another user, which `by` links (blob_file_adopt).
 * 1; 0: it can't be linked, and nothing was done; -1. */
int blob_commit_linked(const struct registry *reg, const char *repository, const struct digest *d,
                       int fd, uint64_t size, const struct blob_file_link *by, struct err *err);

/* Lets the repository serve a blob of the store. 1, 0 (there is no such blob), -1. */
int blob_join(const struct registry *reg, const char *repository, const struct digest *d,
              struct err *err);
