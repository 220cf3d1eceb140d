#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/transfer/import_access.h"
#include "storage/layers/tar_files.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/json.h"

/* The files of a source by name, in a directory or in a tar. */
struct import_files {
    const struct import_access *access;
    const char *below;     /* in a directory: put before each name; "" or with a final slash */
    bool links;            /* in a directory: symbolic links are followed */
    struct tar_files *tar; /* NULL: a directory */
    int fd;                /* of the tar */
};

/* A range of bytes in an open file. */
struct import_file {
    int fd;
    uint64_t at;
    uint64_t size;
    bool fixed; /* a whole file that its owner never changes, because its name is its digest */
    bool twice; /* the tar has several files of this name, and this is the last one */
};

/* Takes fd, which is open on the tar. 0, or -1: ERR_BAD_IMAGE. */
int import_files_tar(struct import_files *f, const struct import_access *access, int fd,
                     struct err *err);
void import_files_dir(struct import_files *f, const struct import_access *access,
                      const char *below);
void import_files_close(struct import_files *f);

/* 1, 0: there is none; -1: ERR_NO_FILE. file->fixed isn't set by this. */
int import_files_open(const struct import_files *f, const char *name, struct import_file *file,
                      struct err *err);
void import_files_shut(struct import_file *file);

/* Reads the whole file into out, which is emptied first. 1, 0, -1: ERR_NO_FILE, ERR_TOO_LARGE;
 * ERR_BAD_IMAGE when a tar has it twice. */
int import_files_read(const struct import_files *f, const char *name, struct buf *out,
                      struct err *err);

/* Parses the file, of at most 16 MiB, which the caller frees with json_free. 1, 0, -1: as
 * import_files_read; ERR_BAD_IMAGE when it isn't JSON. */
int import_files_json(const struct import_files *f, const char *name, struct json **out,
                      struct err *err);

/* Reads exactly n bytes, from offset `from`. 0, or -1 and ERR_NO_FILE. */
int import_files_bytes(const struct import_file *file, uint64_t from, void *p, size_t n,
                       struct err *err);

/* Appends the whole file to out. 0, or -1: ERR_NO_FILE, ERR_TOO_LARGE. */
int import_files_append(const struct import_file *file, struct buf *out, struct err *err);

/* Visits the names in a directory in byte order, without names that begin with a dot. Of a tar only
 * the top can be visited, which is "". Returns 0 if there is no such directory. fn returns 0 to
 * continue, 1 to stop, or -1. */
int import_files_each(const struct import_files *f, const char *directory,
                      int (*fn)(const char *name, void *arg, struct err *err), void *arg,
                      struct err *err);
