#include "process/server/control_call.h"
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "process/server/server.h"
#include "util/buf.h"
#include "util/fdio.h"

int
control_call_connect(void)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = SERVER_CONTROL_NAME};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int sys;

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&sa, sizeof sa) == 0)
        return fd;
    sys = errno;
    fdio_close(fd);
    errno = sys;
    return -1;
}

int
control_call_send(int connection, const int fds[4], const char *const *args, struct err *err)
{
    struct iovec v;
    struct msghdr m;
    struct cmsghdr *c;
    ssize_t n;

    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(4 * sizeof *fds)];
    } control = {.room = {0}};
    struct buf packet;
    buf_init(&packet, CONTROL_CALL_PACKET_MAX);
    for (size_t i = 0; args[i] != NULL; i++)
        buf_put(&packet, args[i], strlen(args[i]) + 1);
    if (!buf_ok(&packet)) {
        buf_free(&packet);
        return err_set(err, ERR_BAD_REQUEST, "the arguments are too long");
    }
    v = (struct iovec){.iov_base = packet.p, .iov_len = packet.n};
    m = (struct msghdr){
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(4 * sizeof *fds);
    memcpy(CMSG_DATA(c), fds, 4 * sizeof *fds);
    n = sendmsg(connection, &m, MSG_NOSIGNAL);
    buf_free(&packet);
    return n >= 0 ? 0 : err_errno(err, "cannot ask the server");
}
