#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "util/err.h"

/* The directory uploads/: the received bytes of each upload, in the file uploads/<id>, and a lock
 * by which requests to one upload wait for each other. The length of the file is the size of the
 * upload; no record has it. Before the first byte there is no file. A file without write permission
 * is sealed: it is a blob, or will be one, and nothing may be appended. root is the data
 * directory's descriptor. */

#define UPLOAD_DIR_PATH_MAX 192

/* An upload that this process has locked. */
struct upload_dir {
    int root;
    int lock;                       /* -1 when closed */
    char path[UPLOAD_DIR_PATH_MAX]; /* of the file, below root */
};

/* Before any worker: turns the directories that earlier programs made, uploads/<id>/data, into
 * files. */
int upload_dir_prepare(int root, struct err *err);

/* Locks the upload; creates nothing in uploads/. The lock belongs to the descriptor, so a process
 * that dies leaves none. 0, -1; ERR_BUSY: 20 s have passed. */
int upload_dir_open(int root, const char *id, struct upload_dir *u, struct err *err);
/* The same without waiting. 1, -1; 0: another request has the lock. */
int upload_dir_try_open(int root, const char *id, struct upload_dir *u, struct err *err);
void upload_dir_close(struct upload_dir *u);

/* *size: the received bytes, read without a lock; 0 if there is no file. */
int upload_dir_size(int root, const char *id, uint64_t *size, struct err *err);

/* *ms: when the file last changed, in milliseconds since 1970; 0 if there is none. */
int upload_dir_changed(int root, const char *id, uint64_t *ms, struct err *err);

/* Sets that time. An upload without a file gets an empty one. The file of a blob is left alone. */
int upload_dir_set_changed(struct upload_dir *u, uint64_t ms, struct err *err);

/* Takes over a request's body that nginx has put into a file below uploads/body/: the first one by
 * a link, later ones by appending them. body_file: the name that nginx gave, of which only the part
 * behind uploads/body/ is trusted; size: as announced. ENOENT (the client disconnected, and nginx
 * removed the file) is ERR_BUSY. *total: the size afterwards. After a failure half-way, the file is
 * cut back to its former size. */
int upload_dir_append(struct upload_dir *u, const char *body_file, uint64_t size, uint64_t *total,
                      struct err *err);

/* Opens such a body for reading, with the same checks. A body of 0 bytes has no file. -1: failed.
 */
int upload_dir_open_body(int root, const char *body_file, uint64_t size, struct err *err);

/* Removes the bytes after the first `size`, so that the client can send that piece again. A sealed
 * file is not changed, because it may be a blob; if `size` is 0, its name here is removed. */
int upload_dir_rewind(struct upload_dir *u, uint64_t size, struct err *err);

/* Opens the data for reading and fsync; creates an empty file if there is none. A descriptor, or
 * -1. */
int upload_dir_data(struct upload_dir *u, struct err *err);

/* Removes the file, if it exists. */
int upload_dir_remove(int root, const char *id, struct err *err);

/* Calls fn for the name of each upload that has a file, with upload_dir_changed. 1 from fn stops.
 */
int upload_dir_each(int root,
                    int (*fn)(const char *id, uint64_t changed, void *arg, struct err *err),
                    void *arg, struct err *err);

/* Removes body files that no process has open, which a killed nginx leaves behind. *n: the number
 * of all body files. Opens the thousand directories that nginx makes. */
int upload_dir_sweep_bodies(int root, size_t *n, struct err *err);
