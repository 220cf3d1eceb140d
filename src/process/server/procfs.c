#include "process/server/procfs.h"
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/fdio.h"

#define NAME_LENGTH 15 /* of the kernel's */

void
procfs_read(int pid, const char *file, char *out, size_t n)
{
    char path[64];
    int fd;
    ssize_t got;

    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    got = fd < 0 ? -1 : read(fd, out, n - 1);
    fdio_close(fd);
    out[got > 0 ? got : 0] = '\0';
    for (ssize_t i = 0; i + 1 < got; i++)
        if (out[i] == '\0')
            out[i] = ' ';
}

/* "123 (name) S 1 ...": the name may contain blanks and brackets. */
char
procfs_state(int pid)
{
    char text[512];
    const char *end;

    procfs_read(pid, "stat", text, sizeof text);
    end = strrchr(text, ')');
    return end != NULL && end[1] == ' ' ? end[2] : '\0';
}

int
procfs_parent(int pid)
{
    char text[512];
    char state;
    int parent = 0;
    const char *end;

    procfs_read(pid, "stat", text, sizeof text);
    end = strrchr(text, ')');
    if (end == NULL || sscanf(end + 1, " %c %d", &state, &parent) != 2)
        return 0;
    return parent;
}

int
procfs_tracer(int pid)
{
    static const char field[] = "\nTracerPid:";
    char text[1024]; /* it is among the first lines */
    const char *at;

    procfs_read(pid, "status", text, sizeof text);
    at = strstr(text, field);
    return at != NULL ? (int)strtol(at + sizeof field - 1, NULL, 10) : 0;
}

bool
procfs_is_called(int pid, const char *name)
{
    char text[64], want[64];

    procfs_read(pid, "comm", text, sizeof text);
    snprintf(want, sizeof want, "%.*s\n", NAME_LENGTH, name);
    return strcmp(text, want) == 0;
}

bool
procfs_works_in(int pid, int dirfd)
{
    char path[64];
    struct stat st, dir;
    snprintf(path, sizeof path, "/proc/%d/cwd", pid);
    return fstat(dirfd, &dir) == 0 && stat(path, &st) == 0 && st.st_dev == dir.st_dev &&
           st.st_ino == dir.st_ino;
}

void
procfs_each(void (*fn)(int pid, void *arg), void *arg)
{
    DIR *proc = opendir("/proc");
    if (proc == NULL)
        return;
    for (const struct dirent *e; (e = readdir(proc)) != NULL;) {
        int pid = isdigit((unsigned char)*e->d_name) ? (int)strtol(e->d_name, NULL, 10) : 0;
        if (pid > 0 && pid != getpid())
            fn(pid, arg);
    }
    closedir(proc);
}

void
procfs_each_below(int pid, int generations, void (*fn)(int pid, void *arg), void *arg)
{
    char file[64], pids[4096];
    char *at, *end;

    snprintf(file, sizeof file, "task/%d/children", pid);
    procfs_read(pid, file, pids, sizeof pids);
    for (at = pids; (pid = (int)strtol(at, &end, 10)) > 0 && *end == ' '; at = end) {
        fn(pid, arg);
        if (generations > 1)
            procfs_each_below(pid, generations - 1, fn, arg);
    }
}
