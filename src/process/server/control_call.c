#include "process/server/control_call.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "process/server/server.h"
#include "util/buf.h"
#include "util/fdio.h"

static int
connect_by_name(const char *name)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int sys;

    snprintf(sa.sun_path, sizeof sa.sun_path, "%s", name);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&sa, sizeof sa) == 0)
        return fd;
    sys = errno;
    fdio_close(fd);
    errno = sys;
    return -1;
}

int
control_call_connect(void)
{
    return connect_by_name(SERVER_CONTROL_NAME);
}

int
control_call_connect_as_root(uid_t owner)
{
    int file = open(SERVER_CONTROL_NAME, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    char name[32];
    struct stat st;
    int fd = -1, sys;

    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    if (file >= 0 && fstat(file, &st) == 0) {
        if (S_ISSOCK(st.st_mode) && st.st_uid == owner)
            fd = connect_by_name(name);
        else
            errno = ENOTSOCK;
    }
    sys = errno;
    fdio_close(file);
    errno = sys;
    return fd;
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

int
control_call_result(int connection, struct err *err)
{
    char packet[1 + ERR_MESSAGE_MAX];
    ssize_t n;

    do
        n = recv(connection, packet, sizeof packet - 1, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return -1;
    packet[n] = '\0';
    if (packet[0] != 0)
        err_set(err, ERR_SYSTEM, "%s", packet + 1);
    return (unsigned char)packet[0];
}

void
control_call_answer(int connection, int code, const char *message)
{
    char packet[1 + ERR_MESSAGE_MAX];
    int n = snprintf(packet + 1, sizeof packet - 1, "%s", message);
    ssize_t ignored;

    packet[0] = (char)code;
    if (n > (int)sizeof packet - 2)
        n = (int)sizeof packet - 2;
    ignored = send(connection, packet, 1 + (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)ignored;
}
