#ifndef STORAGE_FILES_BLOB_FILE_H
#define STORAGE_FILES_BLOB_FILE_H

#include <stdint.h>
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* The files below layers/: immutable, named <algorithm>/<2 hex>/<hex>.<instance>. The instance is
 * new with each publishing, so there is never a file in the way, and a record that names
 * (digest, instance) names one file for ever. root is the data directory's descriptor. */

#define BLOB_FILE_PATH_MAX 192

/* Makes the directories that the files go into, durably, so that publishing never has to. Alone, at
 * the start. */
int blob_file_prepare(int root, struct err *err);

/* The name below layers/. */
void blob_file_path(char out[BLOB_FILE_PATH_MAX], const struct digest *d, uint64_t instance);

/* Makes the open file fd, whose bytes hash to d, a blob file: takes away its write permission,
 * fsyncs it, links it into place and fsyncs the directories. After 0 it survives a power loss; no
 * record speaks of it yet. The file may be a name elsewhere or none at all (O_TMPFILE). */
int blob_file_publish(int root, int fd, const struct digest *d, uint64_t *instance,
                      struct err *err);

/* Who may give a file that isn't ours a second name: `to`, below the data directory. 1; 0: it can't
 * be linked (another file system, say); -1. */
struct blob_file_link {
    int (*fn)(void *arg, const char *to, struct err *err);
    void *arg;
};

/* The same by somebody else's link. The file stays as it is, its owner and mode included: it has to
 * be one that nobody changes. fd is open on it. 1, 0 (nothing was done), -1. */
int blob_file_adopt(int root, int fd, const struct digest *d, const struct blob_file_link *by,
                    uint64_t *instance, struct err *err);

/* A file without a name, in uploads/, for blob_file_publish; open for reading and writing. -1. */
int blob_file_create(int root, struct err *err);

/* The same from memory. */
int blob_file_write(int root, struct bytes content, const struct digest *d, uint64_t *instance,
                    struct err *err);

/* A descriptor for reading, or -1. */
int blob_file_open(int root, const struct digest *d, uint64_t instance, struct err *err);

/* Its first n bytes into p. ERR_CORRUPT: it has fewer, or can't be read. */
int blob_file_read(int root, const struct digest *d, uint64_t instance, void *p, size_t n,
                   struct err *err);

/* Gone, or it wasn't there: 0. */
int blob_file_unlink(int root, const struct digest *d, uint64_t instance, struct err *err);

/* The directories that hold the files, for a sweep: 0 … BLOB_FILE_DIRECTORIES - 1. Calls fn for
 * each file in one of them, with the seconds since its last change of name (st_ctime: publishing is
 * one). */
#define BLOB_FILE_DIRECTORIES 512
int blob_file_each(int root, unsigned directory,
                   int (*fn)(const struct digest *d, uint64_t instance, uint64_t age_s, void *arg,
                             struct err *err),
                   void *arg, struct err *err);

#endif
