#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include "storage/files/blob_store.h"
#include "util/bytes.h"
#include "util/digest.h"

/* What blob_file.h promises, for blobs that are objects of a bucket (s->s3). path: as
 * blob_file_path writes it. An object counts as missing only if registry-id is there: whoever names
 * another bucket, or an empty one, must not lose what the database knows. */
int blob_object_put(const struct blob_store *s, const char *path, int fd, const struct digest *d,
                    struct err *err);
/* 1; 0: there is none; -1. */
int blob_object_look(const struct blob_store *s, const char *path, uint64_t *bytes,
                     int64_t *modified, struct err *err);
/* Writes it to the empty file fd, at most `most` bytes, or reads it for nothing but its digest (fd
 * -1), at that rate (0: as fast as it comes). If other bytes come than d says, they are read once
 * more. 1: these are the bytes; 0: there is no object; -1: ERR_CORRUPT with EIO: others came. */
int blob_object_get(const struct blob_store *s, const char *path, int fd, uint64_t most,
                    uint64_t rate, const struct digest *d, struct err *err);
int blob_object_quarantine(const struct blob_store *s, const char *path, uint64_t files_max,
                           uint64_t bytes_max, struct err *err);
