#ifndef UTIL_SPAWN_H
#define UTIL_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>
#include "util/err.h"

/* Starts a program of somebody else's, with nothing of ours: no descriptor but 0, 1 and 2, all
 * signals with their default action and none blocked, a process group of its own (whose number is
 * the pid), not traced to a terminal of ours by its stdin. User, umask and limits are inherited. */
struct spawn {
    const char *path;        /* executed as it is, from dirfd on if it is relative; no PATH */
    const char *const *argv; /* up to NULL */
    const char *const *envp; /* up to NULL: all of its environment */
    int dirfd;               /* its working directory; AT_FDCWD: ours */
    int in;                  /* its stdin; -1: /dev/null. Stays ours */
    bool dies_with_us;       /* SIGKILL when the thread that started it ends, whatever the reason */
};

/* Returns when the program runs, or couldn't be executed: then err->sys tells why (ENOENT: it, or
 * its interpreter, isn't there; ENOEXEC: no known format), and nothing is left of it. *out is the
 * reading end of its stdout and stderr, O_NONBLOCK and O_CLOEXEC, to be closed by the caller. It
 * ends (EOF) when the last process that has it is gone, which may be long after *pid has ended.
 * *pid is a child, to be reaped by the caller; it keeps its number until then. */
int spawn_start(const struct spawn *s, pid_t *pid, int *out, struct err *err);

/* dies_with_us is about the program alone. This is about all that it starts, too: a small process
 * in its group, a child like it, that kills the group when the returned descriptor is closed, be it
 * by our end. Made while the program isn't reaped; *leash is to be reaped after spawn_kill. -1:
 * err. */
int spawn_leash(pid_t pid, pid_t *leash, struct err *err);

/* SIGKILL to all that are in its process group: the program, and whatever it started that didn't
 * go away on purpose (setsid). Works until *pid is reaped, also when it has ended by itself. */
void spawn_kill(pid_t pid);

#endif
