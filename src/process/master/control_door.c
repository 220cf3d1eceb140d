#include "process/master/control_door.h"
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "process/server/child.h"
#include "process/commands/command_table.h"
#include "process/server/process_title.h"
#include "storage/kv/kv_open.h"
#include "util/fdio.h"

#define PACKET_MS 2000 /* from the connection to its packet */
#define WAIT_MS 30000  /* for a child, while the database is recovered, say */

/* ---- refusing, and letting go ---- */

/* New connections wait while all places are taken. */
static void
watch_door(struct control_door *d)
{
    bool full = true;

    for (size_t i = 0; i < CONTROL_DOOR_MAX; i++)
        full = full && d->requests[i].connection >= 0;
    loop_fd_set(&d->connections, d->socket, full ? 0 : POLLIN);
}

void
control_door_done(struct control_door_request *r, const char *message)
{
    if (message != NULL)
        control_call_answer(r->connection, COMMAND_FAILED, message);
    loop_fd_stop(&r->readable);
    loop_timer_stop(&r->limit);
    fdio_close(r->connection);
    r->connection = -1;
    for (size_t i = 0; i < r->fds_n; i++)
        fdio_close(r->fds[i]);
    r->fds_n = 0;
    r->packet_n = 0;
    watch_door(r->door);
}

void
control_door_close(struct control_door *d)
{
    d->socket = -1; /* the server closes it */
    for (size_t i = 0; i < CONTROL_DOOR_MAX; i++)
        if (d->requests[i].connection >= 0)
            control_door_done(&d->requests[i], "the server is stopping");
    watch_door(d);
}

/* ---- requests ---- */

/* Takes all descriptors that came, so that they are closed with the request. Returns whether they
 * are those of a command. */
static bool
take_descriptors(struct control_door_request *r, const struct msghdr *m)
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(m);

    if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
        return false;
    r->fds_n = (c->cmsg_len - CMSG_LEN(0)) / sizeof *r->fds;
    memcpy(r->fds, CMSG_DATA(c), r->fds_n * sizeof *r->fds);
    return r->fds_n == CONTROL_DOOR_FDS && (m->msg_flags & (MSG_CTRUNC | MSG_TRUNC)) == 0;
}

/* Reads the packet with the caller's descriptors. A packet of another shape ends the request. The
 * kernel passes no more descriptors than there is room for. */
static void
on_control_packet(void *arg)
{
    struct control_door_request *r = arg;
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof r->fds)];
    } control;
    struct iovec v = {.iov_base = r->packet, .iov_len = sizeof r->packet};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(r->connection, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    bool are_whole;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    are_whole = n >= 0 && take_descriptors(r, &m);
    if (n <= 0) {
        control_door_done(r, NULL);
    } else if (!are_whole || r->packet[n - 1] != '\0') {
        control_door_done(r, "invalid command packet");
    } else {
        r->packet_n = (size_t)n;
        loop_fd_stop(&r->readable);
        loop_timer_at(&r->limit, loop_now(r->door->loop) + WAIT_MS);
    }
}

static void
on_control_limit(void *arg)
{
    control_door_done(arg, "the server is busy, or recovers its database: try again later");
}

/* The socket's mode keeps others out already; the kernel says who it is. */
static bool
may_enter(int fd)
{
    struct ucred who;
    socklen_t n = sizeof who;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
           (who.uid == 0 || who.uid == geteuid());
}

static void
on_control_connection(void *arg)
{
    struct control_door *d = arg;
    struct control_door_request *r = d->requests;
    int fd;

    while (r->connection >= 0)
        r++; /* one is free, says watch_door */
    fd = accept4(d->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    r->connection = fd;
    loop_fd_set(&r->readable, fd, POLLIN);
    loop_timer_at(&r->limit, loop_now(d->loop) + PACKET_MS);
    watch_door(d);
    if (!may_enter(fd))
        control_door_done(r, "only root and the server's user may do this");
}

void
control_door_open(struct control_door *d, struct loop *loop, int socket)
{
    d->loop = loop;
    d->socket = socket;
    loop_fd_init(&d->connections, loop, on_control_connection, d);
    for (size_t i = 0; i < CONTROL_DOOR_MAX; i++) {
        struct control_door_request *r = &d->requests[i];
        r->door = d;
        r->connection = -1;
        r->fds_n = 0;
        r->packet_n = 0;
        loop_fd_init(&r->readable, loop, on_control_packet, r);
        loop_timer_init(&r->limit, loop, on_control_limit, r);
    }
    watch_door(d);
}

struct control_door_request *
control_door_ready(struct control_door *d)
{
    for (size_t i = 0; i < CONTROL_DOOR_MAX; i++)
        if (d->requests[i].packet_n > 0)
            return &d->requests[i];
    return NULL;
}

/* ---- the child ---- */

bool
control_door_args(struct control *c, const struct control_door_request *r)
{
    const char *p = r->packet, *end = r->packet + r->packet_n;
    for (; p < end; p += strlen(p) + 1) {
        if (c->args_n == CONTROL_ARGS_MAX)
            return false;
        c->args[c->args_n++] = p;
    }
    return c->args_n > 0;
}

int
control_door_main(const struct server *s, pid_t master, const struct child_place *place,
                  const struct control_door_request *r)
{
    struct registry reg;
    struct err err = {.code = ERR_NONE};
    struct control c = {.server = s, .reg = &reg, .poke = s->poke, .caller = r->connection};
    const int keep[] = {r->connection, r->fds[0], r->fds[1], r->fds[2], r->fds[3], s->poke};
    const struct command *command;
    enum command_exit code;

    child_begin(s, master, keep, sizeof keep / sizeof *keep, control_stop);
    log_set_syslog(NULL);
    /* Log lines of this process go to the user who typed the command, as without a server. */
    for (int i = 0; i <= STDERR_FILENO; i++)
        if (dup2(r->fds[i], i) < 0)
            return CHILD_FAILED;
    command = control_door_args(&c, r) ? command_table_find(c.args[0]) : NULL;
    process_title_set("command %.40s", c.args_n > 0 ? c.args[0] : "");
    child_open(s, place, &reg);
    code = COMMAND_FAILED;
    if (command != NULL && command->work != NULL)
        code = command->work(&c, &err);
    else
        err_set(&err, ERR_UNSUPPORTED,
                "the running server has another version, without this command: restart it");
    kv_close(reg.kv);
    /* All of it, before the caller may end: whoever reads it doesn't wait for us. */
    if (fflush(stdout) != 0 && code == COMMAND_DONE) {
        code = COMMAND_FAILED;
        err_errno(&err, "cannot write the output");
    }
    control_call_answer(r->connection, code, code == COMMAND_DONE ? "" : err.message);
    return CHILD_DONE;
}
