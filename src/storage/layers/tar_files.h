#pragma once

#include <stdint.h>
#include "util/err.h"

/* The files of an uncompressed tar by name, and the offsets of their data. Names are never used in
 * the file system, and links lead only to names in the tar. */
struct tar_files;

/* Maxima of entries, and of bytes in a name. No tool that saves images comes near. */
#define TAR_FILES_MAX 100000
#define TAR_FILES_NAME_MAX 1024

/* Reads all headers, but no data. fd is a regular file; the caller keeps it, and must not close it
 * before the tar_files. Returns NULL and ERR_BAD_IMAGE when it is not a tar, is cut short, or has
 * too many entries. */
struct tar_files *tar_files_open(int fd, struct err *err);
void tar_files_close(struct tar_files *t);

/* name: without "./" in front and without empty, "." and ".." components. Returns 1, or 0 when
 * there is no such file. 2: several entries have this name, and the last of them counts, as when
 * the tar is unpacked; other programs may take the first. */
int tar_files_find(const struct tar_files *t, const char *name, uint64_t *at, uint64_t *size);

/* The names in byte order: i counts from 0; NULL behind the last one. */
const char *tar_files_name(const struct tar_files *t, size_t i);
