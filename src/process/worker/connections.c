#include "process/worker/connections.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "util/fdio.h"
#include "util/mem.h"

#define READY_MAX 16
/* Descriptors for everything else: files of the database, of blobs and indexes. */
#define OTHER_DESCRIPTORS 256
/* With more connections, those that come last end with their request. */
#define DESCRIPTORS_MAX 16384
/* How long a worker that retires waits for others to take a connection. */
#define RETIRE_PATIENCE_MS 500

/* The kernel watches a connection as long as any process has it: who passed it on may still have it
 * when we close it. So an event tells the number of its watch, too; by its descriptor alone, it
 * could be taken for one of a new connection. */
static uint64_t
watch_tag(int fd, uint32_t number)
{
    return (uint64_t)number << 32 | (uint32_t)fd;
}

static int
watched_descriptor(const struct epoll_event *e)
{
    return (int)(uint32_t)e->data.u64;
}

static bool
is_of_former_watch(const struct connections *c, const struct epoll_event *e)
{
    uint32_t number = (uint32_t)(e->data.u64 >> 32); /* 0: no connection */

    return number != 0 && c->kept[watched_descriptor(e)] != number;
}

static int
watch_descriptor(const struct connections *c, int fd, uint32_t events, uint32_t number,
                 struct err *err)
{
    struct epoll_event e = {.events = events, .data.u64 = watch_tag(fd, number)};

    if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &e) == 0)
        return 0;
    return err_errno(err, "cannot watch a socket");
}

static int
open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int
connections_open(struct connections *c, int socket, const struct connections_pool *pool,
                 struct err *err)
{
    *c = (struct connections){.socket = socket, .pool = pool, .spare = open_spare()};
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (c->epoll < 0)
        return err_errno(err, "cannot watch sockets");
    c->ready = mem_array(READY_MAX, sizeof *c->ready);
    /* Exclusive: a connection wakes one worker, and not all. */
    if (watch_descriptor(c, socket, EPOLLIN | EPOLLEXCLUSIVE, 0, err) < 0)
        return -1;
    if (pool == NULL)
        return 0;
    /* The usual limit, 1024, would be reached by as many requests at a time. */
    c->kept_room = fdio_raise_limit(DESCRIPTORS_MAX);
    c->kept = mem_array(c->kept_room, sizeof *c->kept);
    fd_exchange_set_idle(pool->exchange, pool->place, false);
    return watch_descriptor(c, pool->exchange->take, EPOLLIN | EPOLLEXCLUSIVE, 0, err);
}

bool
connections_keep(struct connections *c, int fd)
{
    struct err ignored;

    if (c->pool == NULL || fd < 0 || (size_t)fd + OTHER_DESCRIPTORS >= c->kept_room)
        return false;
    if (c->kept[fd] != 0)
        return true;
    c->watches = c->watches == UINT32_MAX ? 1 : c->watches + 1;
    if (watch_descriptor(c, fd, EPOLLIN | EPOLLRDHUP, c->watches, &ignored) < 0)
        return false;
    c->kept[fd] = c->watches;
    c->kept_n++;
    return true;
}

void
connections_forget(struct connections *c, int fd)
{
    if (fd < 0 || (size_t)fd >= c->kept_room || c->kept[fd] == 0)
        return;
    epoll_ctl(c->epoll, EPOLL_CTL_DEL, fd, NULL); /* fails if it is closed already */
    c->kept[fd] = 0;
    c->kept_n--;
}

static bool
pass_one_on(struct connections *c, int fd, int patience_ms)
{
    connections_forget(c, fd);
    if (fd_exchange_give(c->pool->exchange, fd, patience_ms))
        return true;
    if (!connections_keep(c, fd))
        fdio_close(fd);
    return false;
}

static void
pass_all_on(struct connections *c, int fd, int patience_ms)
{
    c->ready_n = c->ready_at; /* what they say is seen again by whoever has them */
    for (size_t other = 0; c->kept_n > 0 && other < c->kept_room; other++)
        if (c->kept[other] != 0 && (int)other != fd && !pass_one_on(c, (int)other, patience_ms))
            return;
}

void
connections_pass_on(struct connections *c, int fd)
{
    if (c->pool != NULL && c->pool->exchange->n > 1)
        pass_all_on(c, fd, 0);
}

void
connections_close(struct connections *c, bool retires)
{
    if (retires && c->pool != NULL)
        pass_all_on(c, -1, RETIRE_PATIENCE_MS);
    for (size_t fd = 0; fd < c->kept_room; fd++)
        if (c->kept[fd] != 0)
            fdio_close((int)fd);
    fdio_close(c->spare);
    free(c->kept);
    free(c->ready);
    fdio_close(c->epoll);
}

/* Passes on those of the ready connections that have to wait for this one, while others are idle.
 */
static void
share_ready(struct connections *c)
{
    const struct connections_pool *pool = c->pool;

    for (; c->ready_n > c->ready_at; c->ready_n--) {
        int fd = watched_descriptor(&c->ready[c->ready_n - 1]);

        if (fd == c->socket || fd == pool->exchange->take ||
            is_of_former_watch(c, &c->ready[c->ready_n - 1]))
            continue;
        if (!fd_exchange_others_idle(pool->exchange, pool->place) || !pass_one_on(c, fd, 0))
            return;
    }
}

/* A blocked signal comes through here, also while there is always something ready. */
static int
wait_with_signals(const struct connections *c)
{
    sigset_t none, pending;

    sigemptyset(&none);
    if (sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) == 1)
        return sigsuspend(&none);
    return epoll_pwait(c->epoll, c->ready, READY_MAX, -1, &none);
}

static int
wait_for_ready(struct connections *c)
{
    const struct connections_pool *pool = c->pool;

    if (pool != NULL)
        fd_exchange_set_idle(pool->exchange, pool->place, true);
    c->ready_at = 0;
    c->ready_n = wait_with_signals(c);
    if (pool != NULL)
        fd_exchange_set_idle(pool->exchange, pool->place, false);
    if (c->ready_n < 0)
        c->ready_n = 0;
    return c->ready_n;
}

static void
take_connection(struct connections *c)
{
    int fd = fd_exchange_take(c->pool->exchange);

    if (fd >= 0 && !connections_keep(c, fd))
        fdio_close(fd);
}

enum connections_speaker
connections_next(struct connections *c, int *fd)
{
    const struct epoll_event *e;

    for (;;) {
        if (c->ready_at >= c->ready_n && wait_for_ready(c) == 0)
            return CONNECTIONS_NONE;
        e = &c->ready[c->ready_at++];
        *fd = watched_descriptor(e);
        if (is_of_former_watch(c, e))
            continue;
        if (c->pool != NULL && *fd == c->pool->exchange->take) {
            take_connection(c);
        } else if (*fd != c->socket && (e->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
            connections_forget(c, *fd);
            fdio_close(*fd);
        } else {
            if (c->pool != NULL && c->ready_at < c->ready_n)
                share_ready(c);
            return *fd == c->socket ? CONNECTIONS_NEW : CONNECTIONS_KEPT;
        }
    }
}

void
connections_refuse(struct connections *c)
{
    fdio_close(c->spare);
    fdio_close(accept(c->socket, NULL, NULL));
    c->spare = open_spare();
}

bool
connections_wait(const struct connections *c)
{
    struct pollfd any = {.fd = c->epoll, .events = POLLIN};

    return poll(&any, 1, 0) == 1;
}
