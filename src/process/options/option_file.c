#include "process/options/option_file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/fdio.h"

static int
read_to_end(int fd, const char *name, struct buf *out, struct err *err)
{
    char block[4096];
    for (;;) {
        ssize_t got = read(fd, block, sizeof block);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "cannot read %s", name);
        if (got > 0)
            buf_put(out, block, (size_t)got);
        explicit_bzero(block, sizeof block); /* the file may be a key */
        if (!buf_ok(out))
            return err_set(err, ERR_TOO_LARGE, "%s: more than %zu bytes", name, out->max);
        if (got == 0)
            return 0;
    }
}

int
option_file_read(int dirfd, const char *name, struct buf *out, struct err *err)
{
    struct stat st;
    int fd, rc;
    buf_reset(out);
    /* O_NONBLOCK: the open of a named pipe does not wait for a writer. */
    fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_errno(err, "cannot open %s", name);
    if (fstat(fd, &st) < 0)
        rc = err_errno(err, "cannot look at %s", name);
    else if (S_ISDIR(st.st_mode))
        rc = err_set(err, ERR_BAD_REQUEST, "%s is a directory: give a file", name);
    else
        rc = read_to_end(fd, name, out, err);
    fdio_close(fd);
    return rc;
}
