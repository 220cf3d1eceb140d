#include "process/strays.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/banned.h"

#define WAIT_MS 2000

/* A file of /proc; arguments come with a blank between them. "" when it can't be read. */
static void
read_proc(int pid, const char *file, char *out, size_t n)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, out, n - 1);
    fdio_close(fd);
    out[got > 0 ? got : 0] = '\0';
    for (ssize_t i = 0; i + 1 < got; i++)
        if (out[i] == '\0')
            out[i] = ' ';
}

static bool
works_in(int pid, const struct stat *dir)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/cwd", pid);
    return stat(path, &st) == 0 && st.st_dev == dir->st_dev && st.st_ino == dir->st_ino;
}

/* False for a zombie. */
static bool
is_nginx(int pid)
{
    char stat_text[512];
    read_proc(pid, "stat", stat_text, sizeof stat_text);
    const char *state = strrchr(stat_text, ')');
    return strstr(stat_text, " (nginx) ") != NULL && state != NULL && state[1] == ' ' &&
           strchr("ZX", state[2]) == NULL;
}

static int
parent_of(int pid)
{
    char stat_text[512];
    char state;
    int parent = 0;
    read_proc(pid, "stat", stat_text, sizeof stat_text);
    const char *end = strrchr(stat_text, ')');
    if (end == NULL || sscanf(end + 1, " %c %d", &state, &parent) != 2)
        return 0;
    return parent;
}

static bool
is_stray(int pid, const struct stat *dir)
{
    char arguments[512];
    if (pid == getpid() || !is_nginx(pid) || !works_in(pid, dir))
        return false;
    read_proc(pid, "cmdline", arguments, sizeof arguments);
    if (strstr(arguments, "-c run/nginx.conf") != NULL)
        return true;
    return strncmp(arguments, "nginx: ", 7) == 0 && !is_nginx(parent_of(pid));
}

/* How many there are. */
static size_t
kill_once(const struct stat *st, bool tell)
{
    size_t found = 0;
    DIR *proc = opendir("/proc");
    if (proc == NULL)
        return 0;
    for (const struct dirent *e; (e = readdir(proc)) != NULL;) {
        if (!isdigit((unsigned char)*e->d_name))
            continue;
        int pid = (int)strtol(e->d_name, NULL, 10);
        if (!is_stray(pid, st))
            continue;
        found++;
        if (kill(pid, SIGKILL) < 0 && errno != ESRCH)
            log_line(LOG_ERROR, "a stray nginx can't be killed", "pid=%d errno=%d", pid, errno);
        else if (tell)
            log_line(LOG_WARN, "stray nginx killed", "pid=%d", pid);
    }
    closedir(proc);
    return found;
}

void
strays_kill(int dirfd)
{
    struct stat st;
    if (fstat(dirfd, &st) < 0)
        return;
    uint64_t until = clock_mono_ms() + WAIT_MS;
    bool tell = true;
    while (kill_once(&st, tell) > 0 && clock_mono_ms() < until) {
        tell = false;
        clock_sleep_ms(2);
    }
}
