#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "storage/files/blob_store.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* The files of blobs: immutable, named <algorithm>/<2 hex>/<hex>.<instance>. Each publishing makes
 * a new instance, so the name is always free, and (digest, instance) in a record means the same
 * file for ever. */

#define BLOB_FILE_PATH_MAX 192

/* Makes the directories for the files, durably, so that publishing never has to. Called at the
 * start, by one process. ERR_UNSUPPORTED: the file system outside has another time than we. */
int blob_file_prepare(const struct blob_store *s, struct err *err);

/* The name in the blob store. */
void blob_file_path(char out[BLOB_FILE_PATH_MAX], const struct digest *d, uint64_t instance);

/* Makes the open file fd, whose bytes hash to d, a blob file: removes its write permission, fsyncs
 * it, links it to its place and fsyncs the directories. After 0 the file survives a power loss; no
 * record names it yet. It may have another name elsewhere, or none (O_TMPFILE). Outside, a copy of
 * it becomes the blob file, and fd stays as it is. */
int blob_file_publish(const struct blob_store *s, int fd, const struct digest *d,
                      uint64_t *instance, struct err *err);

/* Links a file of another user to `to`, below the data directory. Done by a process that has the
 * right. 1; 0: it can't be linked (another file system, for example); -1. */
struct blob_file_link {
    int (*fn)(void *arg, const char *to, struct err *err);
    void *arg;
};

/* Could files of that device be linked? */
bool blob_file_is_linkable(const struct blob_store *s, dev_t device);
/* Like blob_file_publish, but linked by `by`. Owner and mode stay as they are, so the caller must
 * know that nobody changes the file any more. fd is open on it. 1, 0 (nothing was done), -1. */
int blob_file_adopt(const struct blob_store *s, int fd, const struct digest *d,
                    const struct blob_file_link *by, uint64_t *instance, struct err *err);

/* Creates a file without a name in uploads/, for blob_file_publish: descriptor (O_RDWR), or -1. */
int blob_file_create(const struct blob_store *s, struct err *err);

/* Publishes bytes from memory. */
int blob_file_write(const struct blob_store *s, struct bytes content, const struct digest *d,
                    uint64_t *instance, struct err *err);

/* Returns a descriptor for reading, or -1. */
int blob_file_open(const struct blob_store *s, const struct digest *d, uint64_t instance,
                   struct err *err);

/* Is there this file, and has it this size? modified: in seconds since 1970. */
bool blob_file_is(const struct blob_store *s, const struct digest *d, uint64_t instance,
                  uint64_t size, int64_t *modified);

/* Reads the first n bytes. ERR_CORRUPT: the file has fewer, or can't be read. */
int blob_file_read(const struct blob_store *s, const struct digest *d, uint64_t instance, void *p,
                   size_t n, struct err *err);

/* The bytes of the file. False: there is none. */
bool blob_file_size(const struct blob_store *s, const struct digest *d, uint64_t instance,
                    uint64_t *bytes);

/* The same for a check, which has to know why: can it be opened, and how many bytes has it? 1; 0:
 * there is none; -1, with err->sys 0 if the blob store doesn't answer. */
int blob_file_look(const struct blob_store *s, const struct digest *d, uint64_t instance,
                   uint64_t *bytes, struct err *err);

/* 0 also if there was no such file. */
int blob_file_unlink(const struct blob_store *s, const struct digest *d, uint64_t instance,
                     struct err *err);

/* For a restore: gives the open file fd, which was hashed and synced, the name of that instance, in
 * place of what has it. The name isn't durable yet. */
int blob_file_put_back(const struct blob_store *s, int fd, const struct digest *d,
                       uint64_t instance, struct err *err);

/* For a sweep: calls fn for each file in directory n (digest_directory), with the seconds since its
 * st_ctime, which publishing sets. */
int blob_file_each(const struct blob_store *s, unsigned directory,
                   int (*fn)(const struct digest *d, uint64_t instance, uint64_t age_s, void *arg,
                             struct err *err),
                   void *arg, struct err *err);

/* Removes what a crash has left of files that were being written outside, and of objects that were
 * being sent in parts. */
int blob_file_sweep_unfinished(const struct blob_store *s, struct err *err);
