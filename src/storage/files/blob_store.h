#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "util/err.h"

struct s3_bucket;

/* Copies of objects, below the data directory: for readers (blob_cache.h), and in nginx/ for pulls.
 */
#define BLOB_CACHE_DIR "cache"

/* Where the files of blobs are (blob_file.h, quarantine.h): below layers/ of the data directory, or
 * in another directory (--blobs), which may be on another file system or on several machines.
 *
 * In such a directory nothing is asked of the file system but renaming within it and fsync: no
 * links, no O_TMPFILE, no locks. So each file is copied there, below tmp/, and then renamed. */
struct blob_store {
    struct s3_bucket *s3; /* --blobs s3://...: objects, of the same names; NULL: files */
    uint64_t cache_bytes; /* of their copies for readers */
    int root;             /* the data directory: a file that becomes a blob is in its uploads/ */
    int outside;          /* the directory of --blobs; -1: none, the files are below layers/ */
    const char *name;     /* of that directory or bucket, or "layers", for messages */
};

/* Are the blobs anywhere else than below layers/? */
static inline bool
blob_store_is_outside(const struct blob_store *s)
{
    return s->outside >= 0 || s->s3 != NULL;
}

struct blob_store blob_store_inside(int root);
/* Opens the directory, which the server's user must own, or be able to read if it is read_only; or
 * reads the keys of the bucket, of which nothing is asked. outside: its name; NULL: none, the files
 * are inside. Writes nothing. */
int blob_store_open(struct blob_store *s, int root, const char *outside, bool read_only,
                    struct err *err);
/* From now on this process doesn't wait for S3 for long (s3_exchange.h). */
void blob_store_hurry(const struct blob_store *s);
/* Asks S3 for registry-id, once. -1: it doesn't answer, or refuses. */
int blob_store_ask(const struct blob_store *s, struct err *err);
void blob_store_close(struct blob_store *s);

/* The directory that the names of files start at, and what stands in front of them. */
int blob_store_base(const struct blob_store *s);
const char *blob_store_prefix(const struct blob_store *s);

/* Can files become blobs there? Cheap, and writes nothing. */
int blob_store_check(const struct blob_store *s, struct err *err);
/* ERR_NO_SPACE: another file system than the data directory's has no room for that. */
int blob_store_check_room(const struct blob_store *s, uint64_t more, struct err *err);
/* Makes what was written durable. */
int blob_store_sync(const struct blob_store *s, struct err *err);

/* The file registry-id says which registry's blobs these are. 1; 0: there is none; -1. */
int blob_store_read_id(const struct blob_store *s, uint64_t *id, struct err *err);
int blob_store_write_id(const struct blob_store *s, uint64_t id, struct err *err);
/* Has the directory only what a blob store has? Else -1. */
int blob_store_refuse_strangers(const struct blob_store *s, struct err *err);
