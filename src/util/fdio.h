#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* Operations on files that handle short counts and EINTR. Names are relative to the descriptor of a
 * directory, and a symbolic link as the last component is never followed. `what` is the name of the
 * file in error messages. */

int fdio_write_all(int fd, const void *p, size_t n, const char *what, struct err *err);
/* Writes n bytes at that place of a regular file. */
int fdio_write_at(int fd, const void *p, size_t n, uint64_t at, const char *what, struct err *err);
/* Reads n bytes from that place, or as many as there are. Returns their number, or -1 and errno. */
ssize_t fdio_read_at(int fd, void *p, size_t n, uint64_t at);
/* After a failure (ERR_UNSYNCED) the kernel may have dropped what was written, and a second fsync
 * would succeed all the same: the caller removes the file, and never calls this for it again. */
int fdio_fsync(int fd, const char *what, struct err *err);
/* Syncs the directory `name` below dirfd ("." for dirfd itself). */
int fdio_fsync_dir(int dirfd, const char *name, struct err *err);

/* Raises this process's limit of descriptors to n, or as far as it may. Returns the limit, n at
 * most. */
size_t fdio_raise_limit(size_t n);

/* As openat, but never leaves the directory: others may exchange names below it at any time.
 * Follows no symbolic link at all without `links`. Sets errno. */
int fdio_open_beneath(int dirfd, const char *path, bool links, int flags, mode_t mode);
/* Likewise opens (O_PATH) the directory that `path` is in, and points *last to the last part of
 * path.
 */
int fdio_open_parent(int dirfd, const char *path, const char **last);

/* Makes a directory unless it exists. Returns 1 when it was made, 0 when it existed (and is a
 * directory), -1 on failure. */
int fdio_mkdir(int dirfd, const char *name, mode_t mode, struct err *err);

/* Checks that this process may make files in the directory `name` below dirfd. 0 or -1. Writes
 * nothing. */
int fdio_check_dir(int dirfd, const char *name, struct err *err);

/* Opens the directory `name` below dirfd for readdir. NULL on failure; errno is set too. */
DIR *fdio_opendir(int dirfd, const char *name, struct err *err);

/* Is the directory fd empty? 1, 0, or -1 and errno. */
int fdio_is_empty(int fd);

/* Reads the whole file into out, which is emptied first. A file larger than out's maximum is
 * ERR_TOO_LARGE. Returns 1 when it was read, 0 when there is no such file, -1 on failure. */
int fdio_read_file(int dirfd, const char *name, struct buf *out, struct err *err);
/* The same for a file that the administrator made. If it is a link, or if its owner or mode is
 * wrong, the message says what to do. */
int fdio_read_given(int dirfd, const char *name, struct buf *out, struct err *err);
/* Only the message, for a file that another function failed to open. Returns -1. */
int fdio_explain_given(const char *name, struct err *err);
/* Appends what can be read from fd to out, up to the end. 0, or -1 as above. */
int fdio_read_all(int fd, const char *name, struct buf *out, struct err *err);
/* Replaces a file atomically: writes a temporary file beside it (<name>.<16 hex digits>.tmp, which
 * a crash may leave behind), syncs it, renames it, and syncs the directory. The file gets exactly
 * this mode, whatever the umask is. */
int fdio_replace_file(int dirfd, const char *name, mode_t mode, struct bytes content,
                      struct err *err);

/* Renames a directory. Returns what renameat2(2) does with RENAME_NOREPLACE, also on a file system
 * that doesn't know it, such as ZFS before 2.2; there, nobody else may make the new name. */
int fdio_rename_new(int from_fd, const char *from, int to_fd, const char *to);

/* Is it the same file, with the same contents? By device, inode, size and time of the change. */
bool fdio_same_file(const struct stat *a, const struct stat *b);
/* Remembers how the file looks (links are followed); one that isn't there looks like no other. */
void fdio_look(int dirfd, const char *name, struct stat *seen);
/* Has the file changed since that look? Then this is the last look. A file that isn't there counts
 * as unchanged. */
bool fdio_has_changed(int dirfd, const char *name, struct stat *seen);

/* Appends the first n bytes of the file `from` to the file `to`, which has `at` bytes. The kernel
 * copies them (copy_file_range); where it can't, they are read and written. `to` must not be
 * O_APPEND. Fewer than n bytes in `from` is ERR_BAD_SIZE. After a failure, `to` may be longer than
 * `at`. */
int fdio_append(int to, uint64_t at, int from, uint64_t n, const char *what, struct err *err);

/* Waits until a write to `fd` (a pipe, for example) doesn't block. Returns 1 when a write doesn't
 * block, or would fail at once, in which case its error tells more; 0 when the time has passed or a
 * signal arrived; -1 on failure. */
int fdio_can_write(int fd, int timeout_ms, const char *what, struct err *err);

/* Sends some of the n bytes of the file `from` that follow offset *at to the file or pipe `to` at
 * its position, and adds their number to *at. The kernel copies them (sendfile); where it can't,
 * they are read and written. If a signal arrived, nothing was sent. Fewer than n bytes in `from` is
 * ERR_BAD_SIZE. */
int fdio_send(int to, int from, uint64_t *at, uint64_t n, const char *what, struct err *err);

/* Removes the directory `name` below dirfd with everything in it. It is no error if nothing has
 * that name, but it is one if a file or symbolic link has it. Uses one descriptor for each level.
 * */
int fdio_remove_tree(int dirfd, const char *name, struct err *err);

/* Tells whether any process has this file open or mapped. Returns 1 for yes, 0 for certainly not,
 * -1 when that can't be found out. Then errno is set; EACCES: the file belongs to another user and
 * we have no CAP_LEASE; EINVAL: the file system has no leases.
 *
 * fd must be our only descriptor of the file; a copy of fd that a fork made doesn't count. The
 * function asks for a lease (fcntl(2) F_SETLEASE) and gives it back at once. A process that opens
 * the file in that moment waits, or fails with EWOULDBLOCK if it uses O_NONBLOCK, as nginx does for
 * the files that it serves. So call this only for a file that no process can reach by name any
 * more. Our process may get a SIGURG, which is ignored by default. */
int fdio_in_use(int fd);

/* Closes all descriptors but 0, 1, 2 and these. */
void fdio_close_others(const int *keep, size_t n);

/* Closes fd if it is >= 0, and leaves errno as it was. */
void fdio_close(int fd);
