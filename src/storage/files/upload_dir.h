#ifndef STORAGE_FILES_UPLOAD_DIR_H
#define STORAGE_FILES_UPLOAD_DIR_H

#include <stdbool.h>
#include <stdint.h>
#include "util/err.h"

/* What has come of an upload: the file uploads/<id>/data, and the lock on its directory that makes
 * requests to one upload wait for each other. The length of the file is how far the upload is: no
 * record says it a second time. A file without write permission is sealed: its bytes are a blob, or
 * are about to become one, and nothing is appended any more. root is the data directory's
 * descriptor. */

struct upload_dir {
    int fd; /* of the directory, locked; -1 when closed */
};

/* Opens and locks it; makes it first when it isn't there. Whoever waits longer than some seconds
 * gets ERR_BUSY. 0 or -1. */
int upload_dir_open(int root, const char *id, struct upload_dir *u, struct err *err);
void upload_dir_close(struct upload_dir *u);

/* How many bytes there are (0 without a directory), without a lock. */
int upload_dir_size(int root, const char *id, uint64_t *size, struct err *err);

/* Takes over the request's body that nginx has put into a file below uploads/body/: the first one
 * whole, by a link, later ones behind what is there. body_file: the name that nginx gave, of which
 * only what follows uploads/body/ is believed; size: as announced. ENOENT (the client went, and
 * nginx removed the file) is ERR_BUSY. *total: the size afterwards. When it fails half-way, the
 * file is cut back to what it was. */
int upload_dir_append(int root, struct upload_dir *u, const char *body_file, uint64_t size,
                      uint64_t *total, struct err *err);

/* Opens the request's body that nginx has put into a file below uploads/body/, for reading; checked
 * as above. A body of no bytes has no file, and is none of these. -1: failed. */
int upload_dir_open_body(int root, const char *body_file, uint64_t size, struct err *err);

/* Takes back a piece that was appended behind `size` bytes, so that it can be sent again. What is
 * sealed stays as it is, except that the name of a first piece is taken away: its file may be a
 * blob by now. */
int upload_dir_rewind(struct upload_dir *u, uint64_t size, struct err *err);

/* The data, open for reading (and fsync); an empty file is made when nothing has come. -1: failed.
 */
int upload_dir_data(struct upload_dir *u, struct err *err);

/* Removes the directory and what is in it; not there is fine. */
int upload_dir_remove(int root, const char *id, struct err *err);

/* Calls fn for the name of each upload's directory, and the milliseconds since 1970 when something
 * was last put into it. 1 from fn stops. */
int upload_dir_each(int root,
                    int (*fn)(const char *id, uint64_t changed, void *arg, struct err *err),
                    void *arg, struct err *err);

/* Removes the body files that no process has open any more: those that a killed nginx left. */
int upload_dir_sweep_bodies(int root, struct err *err);

#endif
