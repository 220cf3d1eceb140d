#include "process/server/listener.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "util/fdio.h"

/* The names of handed over sockets. */
#define PLAIN_PORT "port"
#define TLS_PORT "tls-port"
/* Attempts to find a port that is free on all addresses. */
#define ANY_PORT_TRIES 20

struct address {
    struct sockaddr_storage sa;
    socklen_t n;
    bool optional; /* not an error when the machine doesn't have that family */
};

struct addresses {
    struct address v[OPTIONS_MANY_MAX * 2];
    size_t n;
    const char *running; /* only looking whether they could be bound: see listeners_try */
};

/* ---- which addresses ---- */

static void
put_port(struct sockaddr_storage *sa, unsigned port)
{
    if (sa->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)sa)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)sa)->sin_port = htons((uint16_t)port);
}

static unsigned
port_of(const struct sockaddr_storage *sa)
{
    return ntohs(sa->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)sa)->sin6_port
                                           : ((const struct sockaddr_in *)sa)->sin_port);
}

static void
add_all(struct addresses *a)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a->v[0].sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a->v[1].sa;
    v4->sin_family = AF_INET;
    a->v[0].n = sizeof *v4;
    v6->sin6_family = AF_INET6;
    a->v[1].n = sizeof *v6;
    a->v[1].optional = true;
    a->n = 2;
}

static int
add_named(struct addresses *a, const char *name, struct err *err)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int r = getaddrinfo(name, NULL, &hints, &found);
    if (r != 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "--listen %s: no address (%s): give one of this "
                       "machine's, such as 127.0.0.1 or ::1",
                       name, gai_strerror(r));
    for (const struct addrinfo *i = found; i != NULL; i = i->ai_next) {
        if (a->n == sizeof a->v / sizeof *a->v ||
            (i->ai_family != AF_INET && i->ai_family != AF_INET6))
            continue;
        memcpy(&a->v[a->n].sa, i->ai_addr, i->ai_addrlen);
        a->v[a->n++].n = i->ai_addrlen;
    }
    freeaddrinfo(found);
    return 0;
}

static int
collect_addresses(struct addresses *a, const struct options *o, struct err *err)
{
    *a = (struct addresses){.n = 0};
    if (o->listen.n == 0)
        add_all(a);
    for (size_t i = 0; i < o->listen.n; i++)
        if (add_named(a, o->listen.v[i], err) < 0)
            return -1;
    return 0;
}

/* ---- binding ---- */

static int
address_text(const struct sockaddr_storage *sa, char *out, size_t n)
{
    char host[INET6_ADDRSTRLEN];
    bool v6 = sa->ss_family == AF_INET6;
    const void *in = v6 ? (const void *)&((const struct sockaddr_in6 *)sa)->sin6_addr
                        : (const void *)&((const struct sockaddr_in *)sa)->sin_addr;
    if (inet_ntop(sa->ss_family, in, host, sizeof host) == NULL)
        return -1;
    snprintf(out, n, v6 ? "[%s]:%u" : "%s:%u", host, port_of(sa));
    return 0;
}

static int
bind_failed(const struct sockaddr_storage *sa, struct err *err)
{
    char at[LISTENER_ADDRESS_MAX] = "?";
    int saved = errno;
    unsigned port = port_of(sa);
    address_text(sa, at, sizeof at);
    switch (saved) {
    case EADDRINUSE:
        err_set(err, ERR_BUSY,
                "port %u is in use (%s): stop what listens there, or choose another with --port",
                port, at);
        break;
    case EACCES:
        err_set(err, ERR_SYSTEM,
                "port %u is for root only (%s): start as root, which then becomes --run-as, or "
                "choose one above 1023 with --port",
                port, at);
        break;
    case EADDRNOTAVAIL:
        err_set(err, ERR_SYSTEM, "%s is no address of this machine: choose another with --listen",
                at);
        break;
    default:
        errno = saved;
        err_errno(err, "cannot listen on %s", at);
        break;
    }
    err->sys = saved;
    return -1;
}

/* The descriptor, or -1 and errno. *sa then has the port that was chosen. */
static int
bind_one(struct sockaddr_storage *sa, socklen_t n, bool listening)
{
    const int on = 1;
    /* Not blocking, because each of nginx's workers waits for all sockets, and only one of them
     * gets the connection. */
    int fd = socket(sa->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        (sa->ss_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0) ||
        bind(fd, (const struct sockaddr *)sa, n) < 0 ||
        (listening && listen(fd, LISTENER_BACKLOG) < 0) ||
        getsockname(fd, (struct sockaddr *)sa, &n) < 0) {
        fdio_close(fd);
        return -1;
    }
    return fd;
}

static bool
have_already(const struct listeners *l, const char *address)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i].address, address) == 0)
            return true;
    return false;
}

static bool
no_such_family(int number)
{
    return number == EAFNOSUPPORT || number == EADDRNOTAVAIL || number == EPROTONOSUPPORT;
}

/* Does nginx of the running server listen there? Its configuration has each address between "listen
 * " and a blank or a semicolon. */
static bool
is_running(const struct addresses *a, const char *address)
{
    const char *p = a->running;
    size_t n = strlen(address);

    while (p != NULL && n > 0 && (p = strstr(p, "listen ")) != NULL) {
        p += strlen("listen ");
        if (strncmp(p, address, n) == 0 && (p[n] == ' ' || p[n] == ';'))
            return true;
    }
    return false;
}

/* One port on all addresses. *port: 0 takes the port that the first address gets. */
static int
bind_port(struct listeners *l, const struct addresses *a, unsigned *port, bool tls, struct err *err)
{
    for (size_t i = 0; i < a->n; i++) {
        struct listener *new = &l->v[l->n];
        struct sockaddr_storage sa = a->v[i].sa;
        char at[LISTENER_ADDRESS_MAX] = "";
        bool is_ours;

        put_port(&sa, *port);
        if (l->n == LISTENERS_MAX)
            return err_set(err, ERR_BAD_REQUEST, "more than %d addresses and ports to listen on",
                           LISTENERS_MAX);
        if (*port != 0 && address_text(&sa, at, sizeof at) == 0 && have_already(l, at))
            continue;
        is_ours = *port != 0 && is_running(a, at);
        new->fd = is_ours ? -1 : bind_one(&sa, a->v[i].n, a->running == NULL);
        if (new->fd < 0 && !is_ours && a->v[i].optional &&no_such_family(errno))
            continue;
        if (new->fd < 0 && !is_ours)
            return bind_failed(&sa, err);
        l->n++;
        new->tls = tls;
        new->port = *port = port_of(&sa);
        address_text(&sa, new->address, sizeof new->address);
    }
    return 0;
}

static void
close_from(struct listeners *l, size_t n)
{
    while (l->n > n)
        fdio_close(l->v[--l->n].fd);
}

static int
bind_text(struct listeners *l, const struct addresses *a, const char *text, bool tls,
          struct err *err)
{
    unsigned wanted = (unsigned)strtoul(text, NULL, 10);
    size_t before = l->n;
    for (int tries = 0;; tries++) {
        unsigned port = wanted;
        if (bind_port(l, a, &port, tls, err) == 0)
            return 0;
        close_from(l, before);
        if (wanted != 0 || err->sys != EADDRINUSE || tries == ANY_PORT_TRIES)
            return -1;
    }
}

int
listeners_open(struct listeners *l, const struct options *o, struct err *err)
{
    struct addresses a;
    bool all_tls;

    l->n = 0;
    if (collect_addresses(&a, o, err) < 0)
        return -1;
    all_tls = o->tls_cert != NULL && o->tls_ports.n == 0;
    for (size_t i = 0; i < o->ports.n; i++)
        if (bind_text(l, &a, o->ports.v[i], all_tls, err) < 0)
            goto failed;
    for (size_t i = 0; i < o->tls_ports.n; i++)
        if (bind_text(l, &a, o->tls_ports.v[i], true, err) < 0)
            goto failed;
    return 0;
failed:
    listeners_close(l);
    return -1;
}

int
listeners_try(struct listeners *l, const struct options *o, size_t i, const char *running,
              struct err *err)
{
    bool tls = i >= o->ports.n;
    struct addresses a;

    if (i >= o->ports.n + o->tls_ports.n)
        return 0;
    if (collect_addresses(&a, o, err) < 0)
        return -1;
    a.running = running;
    if (bind_text(l, &a, tls ? o->tls_ports.v[i - o->ports.n] : o->ports.v[i],
                  tls || (o->tls_cert != NULL && o->tls_ports.n == 0), err) < 0)
        return -1;
    return 1;
}

void
listeners_hand_over(const struct listeners *l, struct handover *h)
{
    for (size_t i = 0; i < l->n; i++)
        handover_put(h, l->v[i].tls ? TLS_PORT : PLAIN_PORT, l->v[i].fd, l->v[i].address);
}

static void
take_ports(struct listeners *l, const struct handover *h, const char *name, bool tls)
{
    struct bytes note;
    int fd;

    for (size_t i = 0; l->n < LISTENERS_MAX && (fd = handover_get(h, name, i, &note)) >= 0; i++) {
        struct listener *new = &l->v[l->n++];
        const char *colon;

        new->fd = fd;
        new->tls = tls;
        snprintf(new->address, sizeof new->address, "%s", (const char *)note.p);
        colon = strrchr(new->address, ':');
        new->port = colon != NULL ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
    }
}

void
listeners_take(struct listeners *l, const struct options *o, const struct handover *h)
{
    l->n = 0;
    take_ports(l, h, PLAIN_PORT, o->tls_cert != NULL && o->tls_ports.n == 0);
    take_ports(l, h, TLS_PORT, o->tls_cert != NULL);
}

void
listeners_close(struct listeners *l)
{
    close_from(l, 0);
}
