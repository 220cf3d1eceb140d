#include "process/server/runfile.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "util/fdio.h"

int
runfile_write(int dirfd, const char *name, struct bytes content, struct err *err)
{
    char temp[128];
    int fd, r;

    snprintf(temp, sizeof temp, "%s.new", name);
    if (unlinkat(dirfd, temp, 0) < 0 && errno != ENOENT)
        return err_errno(err, "cannot remove %s", temp);
    fd = openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "cannot make %s", temp);
    r = fdio_write_all(fd, content.p, content.n, temp, err);
    fdio_close(fd);
    if (r == 0 && renameat(dirfd, temp, dirfd, name) < 0)
        r = err_errno(err, "cannot rename %s", temp);
    if (r < 0)
        unlinkat(dirfd, temp, 0);
    return r;
}

int
runfile_write_pid(int dirfd, const char *name, struct err *err)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());

    return runfile_write(dirfd, name, bytes_of(text, (size_t)n), err);
}
