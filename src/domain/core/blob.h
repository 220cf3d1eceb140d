#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "storage/files/blob_file.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

struct blob {
    uint64_t size;
    char path[BLOB_FILE_PATH_MAX]; /* below layers/ */
};

/* The blob, if this repository may serve it: 1, 0, -1. for_push: the actor may push, and relies on
 * the answer for the push that it makes; if nothing keeps the blob, its lease is renewed. */
int blob_find(const struct registry *reg, const char *repository, const struct digest *d,
              bool for_push, struct blob *b, struct err *err);

/* The same, but a blob that isn't there is -1 with ERR_NO_REPOSITORY or ERR_NO_BLOB. */
int blob_need(const struct registry *reg, const char *repository, const struct digest *d,
              bool for_push, struct blob *b, struct err *err);

/* Takes the blob from the repository. ERR_NO_REPOSITORY, ERR_NO_BLOB; ERR_IN_USE while a manifest
 * of that repository needs it: err->about names one, in the arena. */
int blob_delete(const struct registry *reg, const char *repository, const struct digest *d,
                const struct actor *actor, struct arena *arena, struct err *err);

/* Lets `to` serve a blob that `from` may serve; with from NULL, that any repository may serve. The
 * caller has checked the rights to those that are named. 1, 0 (the blob isn't there), -1. */
int blob_mount(const struct registry *reg, const char *to, const char *from, const struct digest *d,
               struct err *err);

/* Makes the open file fd, whose `size` bytes hash to d, a blob of that repository, by struct
 * blob_draft; the same transaction makes the repository, and ends the upload (its id; NULL for
 * none). A blob that is there already stays as it is. ERR_FULL: it would be a repository too many.
 */
int blob_commit(const struct registry *reg, const char *repository, const char *upload,
                const struct digest *d, int fd, uint64_t size, struct err *err);

/* As blob_commit without an upload, but the file belongs to somebody else, and `by` links it
 * (blob_file_adopt). 1, 0 (it can't be linked, and nothing was done), -1. */
int blob_commit_linked(const struct registry *reg, const char *repository, const struct digest *d,
                       int fd, uint64_t size, const struct blob_file_link *by, struct err *err);

/* Lets that repository serve a blob of the store, whoever else may serve it: 1, 0 (the
 * blob isn't there), -1. */
int blob_join(const struct registry *reg, const char *repository, const struct digest *d,
              struct err *err);
