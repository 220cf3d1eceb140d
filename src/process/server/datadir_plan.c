#include "process/server/datadir_plan.h"
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/fdio.h"

bool
datadir_plan_roots_alone(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_uid == 0 && (st.st_mode & S_IWOTH) == 0 &&
           ((st.st_mode & S_IWGRP) == 0 || st.st_gid == 0);
}

/* The owner of the registry in this directory: of db/, else of auth/. Root only if nobody else
 * could have made that directory. False: unknown. */
static bool
find_registry_owner(const char *name, uid_t *uid)
{
    static const char *const tells[] = {"db", "auth"};
    bool known = false;
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (size_t i = 0; fd >= 0 && !known && i < sizeof tells / sizeof *tells; i++) {
        int sub = openat(fd, tells[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct stat st, format;

        known = sub >= 0 && fstat(sub, &st) == 0 &&
                (st.st_uid != 0 || (datadir_plan_roots_alone(fd) &&
                                    fstatat(sub, "format", &format, AT_SYMLINK_NOFOLLOW) == 0));
        if (known)
            *uid = st.st_uid;
        fdio_close(sub);
    }
    fdio_close(fd);
    return known;
}

int
datadir_plan(const char *name, const char *run_as, struct privileges *who, struct err *err)
{
    uid_t uid;
    char user[sizeof who->user];
    const struct passwd *pw;

    if (geteuid() != 0 || run_as != NULL || !find_registry_owner(name, &uid))
        return privileges_plan(who, run_as, err);
    pw = getpwuid(uid);
    if (pw == NULL)
        return err_set(err, ERR_SYSTEM,
                       "the files in %s belong to user %lu, which has no name on this machine: run "
                       "this as that user",
                       name, (unsigned long)uid);
    snprintf(user, sizeof user, "%s", pw->pw_name);
    return privileges_plan(who, user, err);
}
