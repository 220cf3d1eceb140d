#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/transfer/import.h"
#include "storage/layers/tar_files.h"
#include "util/buf.h"
#include "util/err.h"

/* The files of what is imported, by their names, whether they are in a directory or in a tar. */
struct import_files {
    const struct import_access *access;
    const char *below;     /* of a directory: where in it, with a slash at the end; or "" */
    struct tar_files *tar; /* NULL: a directory */
    int fd;                /* of the tar */
};

/* Some bytes of a file that is open. */
struct import_file {
    int fd;
    uint64_t at;
    uint64_t size;
    bool fixed; /* it is a file of its own, and nobody changes it: its name is its digest */
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

/* The whole file into out, which is emptied first. 1, 0, -1: ERR_NO_FILE, ERR_TOO_LARGE. */
int import_files_read(const struct import_files *f, const char *name, struct buf *out,
                      struct err *err);

/* n bytes of the file from `from` on, all of them: 0, or -1 and ERR_NO_FILE. */
int import_files_bytes(const struct import_file *file, uint64_t from, void *p, size_t n,
                       struct err *err);

/* All of the file, behind what is in out, which has room for it. 0, or -1 and ERR_NO_FILE. */
int import_files_append(const struct import_file *file, struct buf *out, struct err *err);

/* Visits the names in a directory, in the order of their bytes, without those that begin with a
 * dot. 0: there is no such directory. fn: 0 to go on, 1 to stop, -1. */
int import_files_each(const struct import_files *f, const char *directory,
                      int (*fn)(const char *name, void *arg, struct err *err), void *arg,
                      struct err *err);
