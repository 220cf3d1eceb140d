#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include "util/err.h"

/* Starts a program that is not part of the registry. It inherits the user, umask and limits, but no
 * descriptor except 0, 1 and 2. All its signals have the default action and none is blocked. It
 * leads a session and a process group of its own, whose number is its pid, and has no terminal. */
struct spawn {
    const char *path;        /* executed as it is, relative to dirfd; PATH is not searched */
    const char *const *argv; /* ends with NULL */
    const char *const *envp; /* ends with NULL; the whole environment */
    int dirfd;               /* its working directory; AT_FDCWD: ours */
    int in;                  /* its stdin, still owned by the caller; -1: /dev/null */
    bool dies_with_us; /* it gets SIGKILL when the thread that started it ends, for any reason */
};

/* Returns once the program runs, or could not be executed. In the second case err->sys tells the
 * reason (ENOENT: the program or its interpreter doesn't exist; ENOEXEC: unknown format), and no
 * process is left. *out is the reading end of its stdout and stderr, O_NONBLOCK and O_CLOEXEC, to
 * be closed by the caller. It reaches EOF when the last process that holds the other end is gone,
 * perhaps long after *pid has ended. *pid is a child that the caller reaps; until then the number
 * stays its. */
int spawn_start(const struct spawn *s, pid_t *pid, int *out, struct err *err);

/* Like dies_with_us, but for all processes that the program starts, too. Starts a small process,
 * also a child of the caller, that kills the program's group when the returned descriptor is
 * closed, also by our own end. Call it before the program is reaped. Close the descriptor, and reap
 * *leash, before the program is reaped, too: afterwards another group may have its number. Returns
 * -1 and err on failure. */
int spawn_leash(pid_t pid, pid_t *leash, struct err *err);

/* Waits until the child ends, and reaps it. Returns its status, as from waitpid; -1: there is no
 * such child. */
int spawn_wait(pid_t pid);

/* Sends SIGKILL to the program's process group: the program, and the processes that it started,
 * except those that left the group on purpose (setsid). Works until *pid is reaped, even when the
 * program has ended by itself. */
void spawn_kill(pid_t pid);
