#ifndef UTIL_FDIO_H
#define UTIL_FDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* Files, the careful way: short counts and EINTR are handled, names are relative to a directory's
 * descriptor, symbolic links at the last step are never followed. `what` is the name that goes into
 * messages. */

int fdio_write_all(int fd, const void *p, size_t n, const char *what, struct err *err);
int fdio_fsync(int fd, const char *what, struct err *err);
/* fsync of the directory `name` below dirfd ("." for itself). */
int fdio_fsync_dir(int dirfd, const char *name, struct err *err);

/* Makes it when it isn't there. 1 made, 0 was there (and is a directory), -1. */
int fdio_mkdir(int dirfd, const char *name, mode_t mode, struct err *err);

/* The whole file into out, which is emptied first; larger than out's maximum is ERR_TOO_LARGE.
 * 1 read, 0 no such file, -1. */
int fdio_read_file(int dirfd, const char *name, struct buf *out, struct err *err);
/* Whole or not at all: a temporary file beside it (<name>.<16 hex digits>.tmp, which a crash may
 * leave), fsync, rename, fsync of the directory. The mode is exact, whatever the umask. */
int fdio_replace_file(int dirfd, const char *name, mode_t mode, struct bytes content,
                      struct err *err);

/* Appends the n bytes of `from` (from its offset 0) behind the `at` bytes that `to` has, in the
 * kernel (copy_file_range; read and write where that isn't to be had). `to` isn't O_APPEND. Fewer
 * than n bytes in `from` is ERR_BAD_SIZE. After a failure `to` may have bytes behind `at`. */
int fdio_append(int to, uint64_t at, int from, uint64_t n, const char *what, struct err *err);

/* Waits until `fd`, a pipe say, takes bytes: 1 it does, or never will, so a write says more; 0 not
 * within that time, or a signal came; -1. */
int fdio_can_write(int fd, int timeout_ms, const char *what, struct err *err);

/* Sends some of the n bytes of the file `from` behind *at to `to`, a file or pipe at its position,
 * in the kernel (sendfile; read and write where that isn't to be had), and counts *at up. None of
 * them were sent when a signal came. Fewer than n bytes in `from` is ERR_BAD_SIZE. */
int fdio_send(int to, int from, uint64_t *at, uint64_t n, const char *what, struct err *err);

/* Removes the directory `name` below dirfd with all that is in it. Nothing there is fine; a file or
 * symbolic link of that name is an error. Needs a descriptor for each level. */
int fdio_remove_tree(int dirfd, const char *name, struct err *err);

/* Does any process have this file open (or mapped)? 1 yes, 0 surely not, -1 can't be told (errno is
 * set; EACCES: the file isn't ours and we have no CAP_LEASE; EINVAL: a file system without leases).
 * fd is open on it, and is the only descriptor of ours on it; a fork's copy of fd doesn't count as
 * another. Asks for a lease (fcntl(2) F_SETLEASE) and gives it back at once. Who opens the file in
 * that moment waits, or with O_NONBLOCK fails with EWOULDBLOCK; nginx opens what it serves so. So
 * ask only about a file whose name nobody can reach any more. Our process may get a SIGURG then,
 * which is ignored by default. */
int fdio_in_use(int fd);

/* Closes it when it is one (>= 0); errno stays. */
void fdio_close(int fd);

#endif
