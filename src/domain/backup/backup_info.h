#pragma once

#include <stddef.h>
#include <stdint.h>
#include "util/buf.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* The file backup.json of a backup. It is written last: a directory without it is no backup. */

#define BACKUP_INFO_NAME "backup.json"
#define BACKUP_INFO_BYTES_MAX (4u << 20)
/* Files besides blobs, and blobs that were damaged in the registry already. */
#define BACKUP_INFO_FILES_MAX 10000
#define BACKUP_INFO_DAMAGED_MAX 1000

/* The name of a backup or a snapshot: its moment as 20261130T010203Z. */
#define BACKUP_TIME_MAX 20
void backup_info_time(char out[BACKUP_TIME_MAX], uint64_t seconds);
bool backup_info_is_time(const char *name);
/* The moment in seconds since 1970. False: it is no such name. */
bool backup_info_seconds(const char *name, uint64_t *seconds);
/* The second that names a new one: that of its moment; or, if the clock was put back, the one after
 * the newest, so that it is the newest by its name. newest: NULL if there is none. */
uint64_t backup_info_next(uint64_t moment_ms, const char *newest);
/* Renames a directory to `prefix` and a time: `second`, or the next one whose name is free. *to
 * gets the new name. 0 or -1. */
#define BACKUP_PATH_MAX 64
int backup_info_rename(int root, const char *from, const char *prefix, uint64_t second,
                       char to[BACKUP_PATH_MAX], struct err *err);

/* A file besides the blobs, which the database names. */
struct backup_file {
    char *name; /* below db/, auth/ or hooks/ */
    uint64_t size;
    unsigned mode;
    struct digest digest; /* SHA-256 */
};

struct backup_info {
    uint64_t moment_ms;
    uint64_t blobs, bytes;         /* of all blobs */
    uint64_t new_blobs, new_bytes; /* those that no earlier backup had */
    struct backup_file *files;
    size_t files_n, files_room;
    struct digest *damaged;
    size_t damaged_n, damaged_room;
};

void backup_info_free(struct backup_info *b);

/* Adds a file, and copies its name. */
void backup_info_add(struct backup_info *b, const char *name, uint64_t size, unsigned mode,
                     const struct digest *digest);
bool backup_info_is_damaged(const struct backup_info *b, const struct digest *d);

struct json;
/* Sets the members `moment`, `blobs`, `bytes`, `new_blobs` and `new_bytes`. */
void backup_info_set_numbers(struct json *j, const struct backup_info *b);
void backup_info_write(const struct backup_info *b, struct buf *out);
/* Fills *b, which the caller frees, also after a failure. ERR_UNSUPPORTED: a newer format;
 * ERR_CORRUPT: it isn't whole. what: the backup, for messages. */
int backup_info_read(struct backup_info *b, struct bytes text, const char *what, struct err *err);
