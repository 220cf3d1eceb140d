#include "process/server/socket_dir.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "process/server/unix_socket.h"
#include "util/fdio.h"
#include "util/mem.h"

/* ---- the directory ---- */

/* Makes the directories above it too, with a mode that lets others pass, whatever the umask is. 1
 * made, 0 it was there, -1 and errno. */
static int
make_socket_path(char *path)
{
    mode_t before = umask(0022);
    int r = 0;
    for (char *slash = strchr(path + 1, '/'); r >= 0 && slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        r = mkdir(path, 0755) == 0 ? 1 : errno == EEXIST ? 0 : -1;
        *slash = '/';
    }
    umask(before);
    return r;
}

static int
give_away(const char *dir, bool made, const struct privileges *who, struct err *err)
{
    struct stat st;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r;

    if (fd < 0 || fstat(fd, &st) < 0) {
        err_errno(err, "cannot open directory %s (--fastcgi)", dir);
        fdio_close(fd);
        return -1;
    }
    r = 0;
    if (who->root && st.st_uid != who->uid &&
        (made || (st.st_uid == 0 && fdio_is_empty(fd) == 1)) && fchown(fd, who->uid, who->gid) < 0)
        r = err_errno(err, "cannot give %s (--fastcgi) to %s", dir, who->user);
    fdio_close(fd);
    return r;
}

int
socket_dir_open(const char *dir, const struct privileges *who, struct err *err)
{
    char *path = mem_strdup(dir);
    int made = path == NULL ? -1 : make_socket_path(path);
    if (made < 0)
        err_errno(err, "cannot make directory %s (--fastcgi)", dir);
    free(path);
    return made < 0 ? -1 : give_away(dir, made > 0, who, err);
}

/* ---- one socket ---- */

static bool
is_served(const char *path)
{
    struct err err;
    int fd = unix_socket_connect(path, SOCK_STREAM | SOCK_NONBLOCK, &err);

    fdio_close(fd);
    return fd >= 0 || (err.sys != ECONNREFUSED && err.sys != ENOENT);
}

int
socket_dir_clear(const char *dir, const char *name, const struct privileges *who, struct err *err)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s%s", dir, name);
    if (faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) < 0)
        return err_errno(err,
                         "%s can't create sockets in %s: change the owner of the directory or the "
                         "modes of those above it, or choose another with --fastcgi",
                         who->user, dir);
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_errno(err, "cannot look at %s", path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, ERR_SYSTEM,
                       "%s exists and is not a socket: choose another directory with --fastcgi",
                       path);
    if (is_served(path))
        return err_set(err, ERR_BUSY,
                       "%s is in use by another server: stop that one first, or choose another "
                       "directory with --fastcgi",
                       path);
    if (unlink(path) < 0)
        return err_errno(err, "cannot remove the old socket %s", path);
    return 0;
}

/* ---- from nginx's side ---- */

int
socket_dir_reach(const char *data, const struct privileges *who, struct err *err)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s/uploads/body", data);
    if (stat(path, &st) < 0)
        return err_errno(err,
                         "nginx, which has to run as %s, can't reach %s: change the modes of the "
                         "directories above it, or choose another with --dir",
                         who->user, data);
    return 0;
}
