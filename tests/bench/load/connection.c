/* Connections with TLS or without, and the bytes in both directions. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "load.h"

static SSL_CTX *connection_tls;
static int connection_poller;

static void
client_watch(struct client *c, int how)
{
    struct epoll_event event = {.events = EPOLLIN | (c->wants_write ? EPOLLOUT : 0U),
                                .data.ptr = c};

    if (epoll_ctl(connection_poller, how, c->fd, &event) != 0)
        fail("epoll: %s", strerror(errno));
}

void
client_connect(struct client *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
    int one = 1;

    if (inet_pton(AF_INET, opt.host, &to.sin_addr) != 1)
        fail("%s: no IPv4 address", opt.host);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        fail("connect: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->wants_write = false;
    c->in.len = 0;
    if (opt.tls) {
        c->tls = SSL_new(connection_tls);
        if (c->tls == NULL || SSL_set_fd(c->tls, c->fd) != 1)
            fail("no TLS");
        SSL_set_connect_state(c->tls);
    }
    client_watch(c, EPOLL_CTL_ADD);
}

void
client_close(struct client *c)
{
    if (c->tls != NULL)
        SSL_free(c->tls);
    c->tls = NULL;
    close(c->fd);
}

/* Bytes written or read, 0 for later, -1 for the end. */
long
client_io(struct client *c, bool writes, char *at, size_t n)
{
    long done;

    if (c->tls != NULL) {
        ERR_clear_error();
        done = writes ? SSL_write(c->tls, at, (int)n) : SSL_read(c->tls, at, (int)n);
        if (done > 0)
            return done;
        switch (SSL_get_error(c->tls, (int)done)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return 0;
        default:
            return -1;
        }
    }
    done = writes ? send(c->fd, at, n, MSG_NOSIGNAL) : recv(c->fd, at, n, 0);
    if (done > 0)
        return done;
    return done < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

void
client_write(struct client *c)
{
    bool waits = false;
    long n;

    while (c->sent < c->out.len) {
        n = client_io(c, true, c->out.at + c->sent, c->out.len - c->sent);
        if (n < 0)
            fail("the connection was closed while a request was sent");
        if (n == 0) {
            waits = true;
            break;
        }
        c->sent += (size_t)n;
    }
    /* A handshake waits for bytes to read; epoll would call at once if it asked for room to write.
     */
    if (c->tls != NULL && waits && SSL_want_read(c->tls))
        waits = false;
    if (waits != c->wants_write) {
        c->wants_write = waits;
        client_watch(c, EPOLL_CTL_MOD);
    }
}

int
connections_prepare(void)
{
    if (opt.tls) {
        connection_tls = SSL_CTX_new(TLS_client_method());
        if (connection_tls == NULL)
            fail("no TLS");
        SSL_CTX_set_mode(connection_tls,
                         SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    connection_poller = epoll_create1(EPOLL_CLOEXEC);
    if (connection_poller < 0)
        fail("epoll: %s", strerror(errno));
    return connection_poller;
}
