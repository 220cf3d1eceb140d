#include "storage/files/body_dir.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/fdio.h"

#define BODIES "uploads/body"
#define USER_ROOM 64

static void
print_user(uid_t uid, char out[USER_ROOM])
{
    const struct passwd *pw = getpwuid(uid);

    if (pw != NULL)
        snprintf(out, USER_ROOM, "%s", pw->pw_name);
    else
        snprintf(out, USER_ROOM, "%lu", (unsigned long)uid);
}

static int
stat_body_path(int root, const char *name, struct statx *st, struct err *err)
{
    if (statx(root, name, 0, STATX_BASIC_STATS | STATX_MNT_ID, st) != 0)
        return err_errno(err, "cannot look at %s", name);
    return 0;
}

/* Can a file of one directory be linked into the other? Two mounts of one file system don't do. */
static bool
can_link_between(const struct statx *a, const struct statx *b)
{
    if (a->stx_dev_major != b->stx_dev_major || a->stx_dev_minor != b->stx_dev_minor)
        return false;
    return (a->stx_mask & b->stx_mask & STATX_MNT_ID) == 0 || a->stx_mnt_id == b->stx_mnt_id;
}

int
body_dir_check_links(int root, const char *other, struct err *err)
{
    struct statx bodies, there;

    if (stat_body_path(root, BODIES, &bodies, err) != 0 ||
        stat_body_path(root, other, &there, err) != 0)
        return -1;
    if (!can_link_between(&bodies, &there))
        return err_set(err, ERR_SYSTEM,
                       BODIES " and %s are on different file systems or mounts, and uploads are "
                              "linked: put them on one, or name the other one with --blobs",
                       other);
    return fdio_check_dir(root, other, err);
}

int
body_dir_check(int root, struct err *err)
{
    struct statx bodies;
    char owner[USER_ROOM], us[USER_ROOM];

    if (stat_body_path(root, BODIES, &bodies, err) != 0)
        return -1;
    if (bodies.stx_uid != geteuid()) {
        print_user(bodies.stx_uid, owner);
        print_user(geteuid(), us);
        return err_set(
            err, ERR_SYSTEM,
            "nginx runs as %s and owns " BODIES ", but this server runs as %s: stop the "
            "server, run \"chown -R %s DIR\" for its --dir, and start it with --run-as %s",
            owner, us, owner, owner);
    }
    if (body_dir_check_links(root, "uploads", err) != 0)
        return -1;
    return fdio_check_dir(root, BODIES, err);
}

int
body_dir_check_nginx(int root, const char *bodies, struct err *err)
{
    struct stat ours, of_nginx;

    if (fstatat(root, bodies, &of_nginx, 0) != 0) {
        if (errno == ENOENT) /* nginx has other names, in a container for example */
            return 0;
    } else if (fstatat(root, BODIES, &ours, 0) == 0 && ours.st_dev == of_nginx.st_dev &&
               ours.st_ino == of_nginx.st_ino) {
        return 0;
    }
    return err_set(err, ERR_SYSTEM,
                   "nginx writes request bodies to another place: print its configuration again, "
                   "with the --dir of this server");
}

int
body_dir_explain(int root, const char *path, const char *body_file, struct err *err)
{
    int sys = errno;
    char us[USER_ROOM];

    if (sys == ENOENT && body_file[0] == '/' && (access(body_file, F_OK) == 0 || errno == EACCES))
        return err_set(err, ERR_SYSTEM,
                       "nginx writes request bodies to another place, %s: print its configuration "
                       "again, with the --dir of this server",
                       body_file);
    if (sys == ENOENT)
        return err_set(err, ERR_BUSY, "the client disconnected before its upload was processed");
    if ((sys == EACCES || sys == EPERM || sys == EXDEV) && body_dir_check(root, err) != 0)
        return -1;
    errno = sys;
    if (sys == EACCES || sys == EPERM) {
        print_user(geteuid(), us);
        return err_errno(err, "%s, written by nginx, belongs to another user: nginx must run as %s",
                         path, us);
    }
    return err_errno(err, "take over %s", path);
}
