#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "util/err.h"

/* The event loop of a process that waits for several things: descriptors, points in time, signals,
 * and the ends of its children. The process calls loop_wait in a loop of its own:
 *
 *     while (!stopping && loop_wait(&loop, &err) == 0)
 *         do_what_can_be_done();
 *
 * The structs below are members of the caller's structs, and stay at their place while they are
 * watched. A function that is called may change, start and stop any of them, itself included. */

struct loop;

typedef void loop_fn(void *arg);
typedef void loop_signal_fn(void *arg, int number);
typedef int loop_run_fn(void *arg, pid_t parent);
typedef void loop_child_fn(void *arg, pid_t pid, int status);

struct loop_fd {
    struct loop *loop;
    loop_fn *fn;
    void *arg;
    size_t place; /* in the loop's arrays, from 1; 0: not watched */
};

struct loop_timer {
    struct loop *loop;
    struct loop_timer *next, *before; /* NULL: it doesn't run */
    uint64_t at;                      /* clock_mono_ms() */
    loop_fn *fn;
    void *arg;
};

struct loop_child {
    struct loop_child *next;
    pid_t pid; /* 0: it doesn't run */
    loop_child_fn *ended;
    void *arg;
};

struct loop {
    struct pollfd *polls;
    struct loop_fd **fds; /* side by side with polls; NULL: stopped in this round */
    size_t n, polls_room, fds_room;
    struct loop_timer timers; /* a ring, sorted by time, that begins and ends here */
    struct loop_child *children;
    uint64_t now;

    int signals; /* a signalfd; -1 */
    struct loop_fd signals_fd;
    loop_signal_fn *on_signal;
    void *on_signal_arg;
};

void loop_init(struct loop *l);
void loop_free(struct loop *l);

/* One round: waits until something happens, and calls the functions for it, those of descriptors
 * first. -1: poll failed. */
int loop_wait(struct loop *l, struct err *err);

/* clock_mono_ms() as of this round, when loop_wait had waited. */
uint64_t loop_now(const struct loop *l);

/* ---- descriptors ---- */

/* fn NULL: the descriptor only ends the wait. */
void loop_fd_init(struct loop_fd *f, struct loop *l, loop_fn *fn, void *arg);

/* From now on f stands for this descriptor, and these events of poll(2) (POLLHUP and POLLERR come
 * unasked). fd < 0 or no events: it is not watched. Call it again after every change; it must not
 * be left watching a descriptor that was closed. */
void loop_fd_set(struct loop_fd *f, int fd, int events);
/* The same as no events; also for an f that is all zeros. */
void loop_fd_stop(struct loop_fd *f);

/* ---- timers ---- */

/* fn NULL: the timer only ends the wait. */
void loop_timer_init(struct loop_timer *t, struct loop *l, loop_fn *fn, void *arg);
/* Runs out once, at that time, and at no other that was set before. A time in the past is the next
 * round. */
void loop_timer_at(struct loop_timer *t, uint64_t at);
/* Runs out at that time, unless it runs out earlier anyway. */
void loop_timer_by(struct loop_timer *t, uint64_t at);
/* Also for a t that is all zeros. */
void loop_timer_stop(struct loop_timer *t);

/* ---- signals and children ---- */

/* Blocks exactly these signals; fn is called for each that comes. Once for each loop. SIGCHLD among
 * them is not for fn: the loop then reaps all children of the process. */
int loop_signals(struct loop *l, const int *numbers, size_t n, loop_signal_fn *fn, void *arg,
                 struct err *err);

/* For a process with SIGCHLD in loop_signals: starts a child, which exits with the result of run.
 * When it has ended and is reaped, `ended` is called with waitpid's status, and c->pid is 0 again.
 * -1, and errno: it can't be started. */
int loop_fork(struct loop *l, struct loop_child *c, loop_run_fn *run, loop_child_fn *ended,
              void *arg);

/* The same for a child of this process that was started before it executed this program. */
void loop_adopt(struct loop *l, struct loop_child *c, pid_t pid, loop_child_fn *ended, void *arg);
