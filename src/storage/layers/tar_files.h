#ifndef STORAGE_LAYERS_TAR_FILES_H
#define STORAGE_LAYERS_TAR_FILES_H

#include <stdint.h>
#include "util/err.h"

/* The files of a tar that isn't compressed, by name: where in it their bytes are. Names never touch
 * the file system, and links lead to names of the tar only. */
struct tar_files;

/* More entries, or a longer name, than anybody who saves images makes. */
#define TAR_FILES_MAX 100000
#define TAR_FILES_NAME_MAX 1024

/* Reads all headers, and no data. fd is a regular file, and stays the caller's, open as long as the
 * tar_files is used. NULL: ERR_BAD_IMAGE when it is no tar, is cut short, or has too many entries.
 */
struct tar_files *tar_files_open(int fd, struct err *err);
void tar_files_close(struct tar_files *t);

/* name: without "./" in front, and without empty, "." and ".." components. Of several entries of
 * one name the last counts. 1, 0: there is no such file. */
int tar_files_find(const struct tar_files *t, const char *name, uint64_t *at, uint64_t *size);

#endif
