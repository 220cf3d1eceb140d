#include "process/commands/helper_process.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "util/fdio.h"

/* ---- the child ---- */

/* Moves the descriptors that it needs to 3, 4, ... in their order, and closes all others. */
static void
keep_descriptors(int *const *keep, size_t n)
{
    int high[HELPER_KEEP_MAX + 1];

    for (size_t i = 0; i < n; i++)
        high[i] = *keep[i] >= 0 ? fcntl(*keep[i], F_DUPFD_CLOEXEC, 100) : -1;
    close_range(3, 3 + (unsigned)n - 1, 0); /* the caller's end of the socket may be among them */
    for (size_t i = 0; i < n; i++)
        *keep[i] = high[i] >= 0 ? dup3(high[i], 3 + (int)i, O_CLOEXEC) : -1;
    close_range(3 + (unsigned)n, ~0u, 0);
    close_range(0, 1, 0);
}

_Noreturn static void
become_helper(int socket, int *const *keep, size_t n, pid_t parent,
              void (*serve)(int socket, void *arg), void *arg)
{
    int *all[HELPER_KEEP_MAX + 1] = {&socket};

    signal(SIGPIPE, SIG_IGN);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
        _exit(1);
    memcpy(all + 1, keep, n * sizeof *keep);
    keep_descriptors(all, n + 1);
    serve(socket, arg);
    _exit(0);
}

int
helper_process_start(int *const *keep, size_t n, void (*serve)(int socket, void *arg), void *arg,
                     int *socket, struct err *err)
{
    pid_t parent = getpid(), child;
    int pair[2];

    *socket = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return err_errno(err, "cannot make a socket");
    child = fork();
    if (child == 0)
        become_helper(pair[1], keep, n, parent, serve, arg);
    if (child < 0)
        err_errno(err, "cannot start a process");
    fdio_close(pair[1]);
    if (child < 0)
        fdio_close(pair[0]);
    else
        *socket = pair[0];
    return child < 0 ? -1 : 0;
}

bool
helper_process_next(int socket, char request[HELPER_REQUEST_MAX + 1])
{
    ssize_t n;

    do
        n = recv(socket, request, HELPER_REQUEST_MAX, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    request[n] = '\0';
    return true;
}

bool
helper_process_answer(int socket, int sys, int fd)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof fd)];
    } control = {.room = {0}};
    struct iovec v = {.iov_base = &sys, .iov_len = sizeof sys};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

    if (sys == 0 && fd >= 0) {
        struct cmsghdr *c;

        m.msg_control = &control;
        m.msg_controllen = sizeof control;
        c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    return sendmsg(socket, &m, MSG_NOSIGNAL) == (ssize_t)sizeof sys;
}

/* ---- who asks ---- */

int
helper_process_ask(int socket, const char *request, int *fd)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof *fd)];
    } control;
    int sys;
    struct iovec v = {.iov_base = &sys, .iov_len = sizeof sys};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    const struct cmsghdr *c;
    size_t n = strlen(request);
    ssize_t got;

    if (n > HELPER_REQUEST_MAX)
        return ENAMETOOLONG;
    if (send(socket, request, n, MSG_NOSIGNAL) != (ssize_t)n)
        return -1;
    do
        got = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof sys)
        return -1;
    c = CMSG_FIRSTHDR(&m);
    if (fd != NULL && c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof *fd))
        memcpy(fd, CMSG_DATA(c), sizeof *fd);
    return sys;
}
