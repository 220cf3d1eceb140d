#include "storage/files/blob_directory.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/fdio.h"

/* A directory has this mode until its name is known to be on the disk: what another process puts
 * into it before would be lost with it. */
#define MODE_NEW 0700
#define MODE_DURABLE 0750

#define NAME_ROOM 256

/* 1; 0: it is missing, or new; -1. */
static int
is_durable_directory(int dir, const char *name, struct err *err)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : err_errno(err, "cannot look at %s", name);
    return (st.st_mode & 0777) != MODE_NEW;
}

/* If the disk fails, the directory goes: a second fsync could succeed without having written it.
 * Nobody has put anything into it yet. */
static int
sync_directory_above(int dir, const char *name, struct err *err)
{
    char above[NAME_ROOM];

    snprintf(above, sizeof above, "%.*s", (int)(strrchr(name, '/') - name), name);
    if (fdio_fsync_dir(dir, above, err) == 0)
        return 0;
    unlinkat(dir, name, AT_REMOVEDIR);
    return -1;
}

int
blob_directory_need(int dir, const char *name, struct err *err)
{
    int rc = is_durable_directory(dir, name, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    if (fdio_mkdir(dir, name, MODE_NEW, err) < 0 || sync_directory_above(dir, name, err) != 0)
        return -1;
    return fchmodat(dir, name, MODE_DURABLE, 0) == 0
               ? 0
               : err_errno(err, "cannot change the mode of %s", name);
}
