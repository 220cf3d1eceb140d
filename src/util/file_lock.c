#include "util/file_lock.h"
#include <stdio.h>
#include <sys/stat.h>

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
