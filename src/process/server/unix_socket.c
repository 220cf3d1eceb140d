#include "process/server/unix_socket.h"
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "util/fdio.h"

static int
open_unix_socket(const char *path, int type, struct sockaddr_un *address, struct err *err)
{
    int fd;

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address->sun_path)
        return err_set(err, ERR_SYSTEM, "%s: too long for the name of a socket", path);
    memcpy(address->sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    return fd >= 0 ? fd : err_errno(err, "cannot make socket %s", path);
}

int
unix_socket_listen(const char *path, int type, int backlog, struct err *err)
{
    struct sockaddr_un address;
    int fd = open_unix_socket(path, type, &address, err);
    mode_t before;
    int rc;

    if (fd < 0)
        return -1;
    before = umask(0177);
    rc = bind(fd, (const struct sockaddr *)&address, sizeof address);
    umask(before);
    if (rc == 0 && listen(fd, backlog) == 0)
        return fd;
    err_errno(err, "cannot listen on %s", path);
    fdio_close(fd);
    return -1;
}

int
unix_socket_connect(const char *path, int type, struct err *err)
{
    struct sockaddr_un address;
    int fd = open_unix_socket(path, type, &address, err);

    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    err_errno(err, "cannot connect to %s", path);
    fdio_close(fd);
    return -1;
}
