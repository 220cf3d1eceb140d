#include "util/fd_exchange.h"
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "util/fdio.h"

/* Room for some hundred descriptors; the kernel doubles it. */
#define ROOM_BYTES 212992

struct fd_exchange_places {
    atomic_bool idle[1];
};

static size_t
places_size(unsigned n)
{
    return sizeof(struct fd_exchange_places) + n * sizeof(atomic_bool);
}

int
fd_exchange_make(struct fd_exchange *x, unsigned n, struct err *err)
{
    int ends[2], room = ROOM_BYTES;

    *x = (struct fd_exchange){.give = -1, .take = -1, .n = n};
    x->places =
        mmap(NULL, places_size(n), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (x->places == MAP_FAILED) {
        x->places = NULL;
        return err_errno(err, "cannot share memory between %u processes", n);
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
        fd_exchange_close(x);
        return err_errno(err, "cannot make a pair of sockets");
    }
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    x->give = ends[0];
    x->take = ends[1];
    return 0;
}

void
fd_exchange_adopt(struct fd_exchange *x, int give, int take)
{
    if (give < 0 || take < 0)
        return;
    fdio_close(x->give);
    fdio_close(x->take);
    x->give = give;
    x->take = take;
}

void
fd_exchange_close(struct fd_exchange *x)
{
    if (x->places != NULL)
        munmap(x->places, places_size(x->n));
    fdio_close(x->give);
    fdio_close(x->take);
    *x = (struct fd_exchange){.give = -1, .take = -1};
}

/* A message of one byte that carries one descriptor. */
struct parcel {
    char byte;
    struct iovec body;
    union {
        struct cmsghdr head; /* for its alignment */
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message;
};

static void
make_parcel(struct parcel *p)
{
    *p = (struct parcel){.byte = 'f'};
    p->body = (struct iovec){&p->byte, 1};
    p->message = (struct msghdr){
        .msg_iov = &p->body,
        .msg_iovlen = 1,
        .msg_control = p->control.bytes,
        .msg_controllen = sizeof p->control.bytes,
    };
}

bool
fd_exchange_give(const struct fd_exchange *x, int fd, int patience_ms)
{
    struct pollfd room = {.fd = x->give, .events = POLLOUT};
    struct parcel p;
    struct cmsghdr *head;

    make_parcel(&p);
    head = CMSG_FIRSTHDR(&p.message);
    *head = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    if (sendmsg(x->give, &p.message, MSG_NOSIGNAL) < 0 &&
        (patience_ms == 0 || poll(&room, 1, patience_ms) != 1 ||
         sendmsg(x->give, &p.message, MSG_NOSIGNAL) < 0))
        return false;
    fdio_close(fd);
    return true;
}

int
fd_exchange_take(const struct fd_exchange *x)
{
    struct parcel p;
    const struct cmsghdr *head;
    int fd;

    make_parcel(&p);
    if (recvmsg(x->take, &p.message, MSG_CMSG_CLOEXEC) < 0)
        return -1;
    head = CMSG_FIRSTHDR(&p.message);
    if (head == NULL || head->cmsg_type != SCM_RIGHTS) /* no descriptor is free */
        return -1;
    memcpy(&fd, CMSG_DATA(head), sizeof fd);
    return fd;
}

void
fd_exchange_set_idle(const struct fd_exchange *x, unsigned place, bool idle)
{
    atomic_store(&x->places->idle[place], idle);
}

bool
fd_exchange_others_idle(const struct fd_exchange *x, unsigned place)
{
    for (unsigned i = 0; i < x->n; i++)
        if (i != place && atomic_load(&x->places->idle[i]))
            return true;
    return false;
}
