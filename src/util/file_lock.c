#include "util/file_lock.h"
#include <errno.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

int
file_lock_try(int fd, const char *dir, const char *name, struct err *err)
{
    while (flock(fd, LOCK_EX | LOCK_NB) != 0)
        if (errno != EINTR)
            return errno == EWOULDBLOCK
                       ? 0
                       : err_errno(err, "cannot lock %s%s%s", dir != NULL ? dir : "",
                                   dir != NULL ? "/" : "", name);
    return 1;
}

/* The kernel lists who has which file locked. */
pid_t
file_lock_holder(int fd)
{
    char line[256];
    struct stat st;
    unsigned long inode;
    unsigned major_number, minor_number;
    int pid = 0, found = 0;
    FILE *f = fstat(fd, &st) == 0 ? fopen("/proc/locks", "re") : NULL;

    while (f != NULL && found == 0 && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%lu", &pid, &major_number, &minor_number,
                   &inode) == 4 &&
            inode == st.st_ino && pid > 0)
            found = pid;
    if (f != NULL)
        fclose(f);
    return found;
}
