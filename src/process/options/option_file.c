#include "process/options/option_file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "util/fdio.h"

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
        rc = fdio_read_all(fd, name, out, err);
    fdio_close(fd);
    return rc;
}

int
option_file_read_rules(const char *option, bool given, int dirfd, const char *name, struct buf *out,
                       struct err *err)
{
    if (!given)
        return fdio_read_given(dirfd, name, out, err);
    if (option_file_read(dirfd, name, out, err) == 0)
        return 1;
    if (err->sys == ENOENT)
        return err_set(err, ERR_BAD_REQUEST, "%s %s: there is no such file", option, name);
    return fdio_explain_given(name, err);
}
