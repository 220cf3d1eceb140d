#include "util/loop.h"
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/fdio.h"
#include "util/mem.h"

/* poll(2) and not epoll: stdout may be a regular file, which epoll refuses. A thousand descriptors
 * cost some 50 microseconds a round. */

void
loop_init(struct loop *l)
{
    *l = (struct loop){.now = clock_mono_ms(), .signals = -1};
    l->timers.next = l->timers.before = &l->timers;
}

void
loop_free(struct loop *l)
{
    fdio_close(l->signals);
    free(l->polls);
    free(l->fds);
}

uint64_t
loop_now(const struct loop *l)
{
    return l->now;
}

/* ---- descriptors ---- */

void
loop_fd_init(struct loop_fd *f, struct loop *l, loop_fn *fn, void *arg)
{
    *f = (struct loop_fd){.loop = l, .fn = fn, .arg = arg};
}

void
loop_fd_stop(struct loop_fd *f)
{
    if (f->place == 0)
        return;
    f->loop->polls[f->place - 1] = (struct pollfd){.fd = -1};
    f->loop->fds[f->place - 1] = NULL; /* loop_wait may be going through them */
    f->place = 0;
}

void
loop_fd_set(struct loop_fd *f, int fd, int events)
{
    struct loop *l = f->loop;
    struct pollfd *p;

    if (fd < 0 || events == 0) {
        loop_fd_stop(f);
        return;
    }
    if (f->place == 0) {
        l->polls = mem_grow(l->polls, &l->polls_room, l->n + 1, sizeof *l->polls);
        l->fds = mem_grow(l->fds, &l->fds_room, l->n + 1, sizeof *l->fds);
        l->polls[l->n] = (struct pollfd){.fd = -1};
        l->fds[l->n] = f;
        f->place = ++l->n;
    }
    p = &l->polls[f->place - 1];
    if (p->fd != fd)
        p->revents = 0; /* what has happened to another */
    p->fd = fd;
    p->events = (short)events;
}

static void
close_loop_gaps(struct loop *l)
{
    for (size_t i = 0; i < l->n; i++) {
        while (l->n > i && l->fds[l->n - 1] == NULL)
            l->n--;
        if (i >= l->n || l->fds[i] != NULL)
            continue;
        l->n--;
        l->polls[i] = l->polls[l->n];
        l->fds[i] = l->fds[l->n];
        l->fds[i]->place = i + 1;
    }
}

static void
call_for_fds(struct loop *l)
{
    size_t n = l->n; /* new ones are behind these */

    for (size_t i = 0; i < n; i++) {
        const struct loop_fd *f = l->fds[i];
        if (f != NULL && f->fn != NULL && l->polls[i].revents != 0)
            f->fn(f->arg);
    }
}

/* ---- timers ---- */

/* Puts t into a ring, in front of `next`. */
static void
link_timer(struct loop_timer *t, struct loop_timer *next)
{
    t->next = next;
    t->before = next->before;
    t->before->next = next->before = t;
}

void
loop_timer_init(struct loop_timer *t, struct loop *l, loop_fn *fn, void *arg)
{
    *t = (struct loop_timer){.loop = l, .fn = fn, .arg = arg};
}

void
loop_timer_stop(struct loop_timer *t)
{
    if (t->next == NULL)
        return;
    t->before->next = t->next;
    t->next->before = t->before;
    t->next = t->before = NULL;
}

void
loop_timer_at(struct loop_timer *t, uint64_t at)
{
    struct loop_timer *next = &t->loop->timers;

    loop_timer_stop(t);
    t->at = at;
    /* From the end: most timers are set to a time later than all others. */
    while (next->before != &t->loop->timers && next->before->at > at)
        next = next->before;
    link_timer(t, next);
}

void
loop_timer_by(struct loop_timer *t, uint64_t at)
{
    if (t->next == NULL || t->at > at)
        loop_timer_at(t, at);
}

static int
next_timeout(const struct loop *l)
{
    const struct loop_timer *first = l->timers.next;
    uint64_t now = clock_mono_ms();

    if (first == &l->timers)
        return -1;
    if (first->at <= now)
        return 0;
    return first->at - now < INT_MAX ? (int)(first->at - now) : INT_MAX;
}

static void
call_for_timers(struct loop *l)
{
    struct loop_timer due = {.next = &due, .before = &due};
    struct loop_timer *t;

    /* They move to a ring of their own first: a timer that is set to now again waits for the next
     * round, after a look at the descriptors. */
    while ((t = l->timers.next) != &l->timers && t->at <= l->now) {
        loop_timer_stop(t);
        link_timer(t, &due);
    }
    while ((t = due.next) != &due) {
        loop_timer_stop(t);
        if (t->fn != NULL)
            t->fn(t->arg);
    }
}

/* ---- signals and children ---- */

int
loop_fork(struct loop *l, struct loop_child *c, loop_run_fn *run, loop_child_fn *ended, void *arg)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid == 0)
        exit(run(arg, parent));
    if (pid < 0)
        return -1;
    *c = (struct loop_child){.next = l->children, .pid = pid, .ended = ended, .arg = arg};
    l->children = c;
    return 0;
}

void
loop_adopt(struct loop *l, struct loop_child *c, pid_t pid, loop_child_fn *ended, void *arg)
{
    *c = (struct loop_child){.next = l->children, .pid = pid, .ended = ended, .arg = arg};
    l->children = c;
    raise(SIGCHLD); /* it may have ended meanwhile */
}

static void
reap_loop_children(struct loop *l)
{
    struct loop_child **at, *c;
    pid_t pid;
    int status;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (at = &l->children; *at != NULL && (*at)->pid != pid;)
            at = &(*at)->next;
        c = *at;
        if (c == NULL)
            continue; /* a child of a child that has died */
        *at = c->next;
        c->pid = 0;
        c->ended(c->arg, pid, status);
    }
}

static void
read_loop_signals(void *arg)
{
    struct loop *l = arg;
    struct signalfd_siginfo info;

    while (read(l->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap_loop_children(l);
        else
            l->on_signal(l->on_signal_arg, (int)info.ssi_signo);
    }
}

int
loop_signals(struct loop *l, const int *numbers, size_t n, loop_signal_fn *fn, void *arg,
             struct err *err)
{
    struct sigaction normal = {.sa_handler = SIG_DFL};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < n; i++) {
        sigaddset(&set, numbers[i]);
        sigaction(numbers[i], &normal, NULL); /* nohup and shells may have had them ignored */
    }
    sigprocmask(SIG_SETMASK, &set, NULL);
    l->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (l->signals < 0)
        return err_errno(err, "cannot catch signals");
    l->on_signal = fn;
    l->on_signal_arg = arg;
    loop_fd_init(&l->signals_fd, l, read_loop_signals, l);
    loop_fd_set(&l->signals_fd, l->signals, POLLIN);
    return 0;
}

/* ---- a round ---- */

int
loop_wait(struct loop *l, struct err *err)
{
    int rc;

    close_loop_gaps(l);
    rc = poll(l->polls, l->n, next_timeout(l));
    l->now = clock_mono_ms();
    if (rc < 0 && errno != EINTR)
        return err_errno(err, "cannot wait for events");
    if (rc > 0)
        call_for_fds(l);
    call_for_timers(l);
    return 0;
}
