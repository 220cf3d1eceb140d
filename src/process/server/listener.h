#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "process/options/options.h"
#include "process/server/handover.h"
#include "util/err.h"

/* Connections that may wait, for each socket. With fewer, a burst makes nginx answer 502 at once.
 * The kernel uses the smaller of this and net.core.somaxconn. */
#define LISTENER_BACKLOG 4096

#define LISTENERS_MAX 256
/* "[", an IPv6 address, "]:65535" */
#define LISTENER_ADDRESS_MAX 64

struct listener {
    int fd;
    bool tls;
    unsigned port;
    char address[LISTENER_ADDRESS_MAX]; /* "0.0.0.0:8000", "[::]:8000" */
};

struct listeners {
    struct listener v[LISTENERS_MAX];
    size_t n;
};

/* Binds and listens on each address and port of the options. Port 0 becomes a port that is free on
 * all of the addresses. Without --listen: IPv4, and IPv6 if the machine has it. The message says
 * which port failed, and what to do. */
int listeners_open(struct listeners *l, const struct options *o, struct err *err);
/* Only binds number i of the ports, --port before --tls-port, and adds its addresses to *l, which
 * the caller closes. 1; 0: there are no more; -1. running: nginx's configuration of the server that
 * runs in the data directory, whose addresses are taken for free, with fd -1; "" if none runs. */
int listeners_try(struct listeners *l, const struct options *o, size_t i, const char *running,
                  struct err *err);
/* The sockets go to the program that takes our place. There, a changed configuration may have begun
 * or ended TLS, but not have changed the ports. */
void listeners_hand_over(const struct listeners *l, struct handover *h);
void listeners_take(struct listeners *l, const struct options *o, const struct handover *h);
void listeners_close(struct listeners *l);
