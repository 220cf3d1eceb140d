#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "util/loop.h"

/* The master reports to the service manager that started it (systemd, or a container engine) by
 * datagrams to the socket that the environment names (sd_notify(3)). Without that variable all of
 * this does nothing. Nothing here waits, and a message that can't be sent is lost. */
struct service_manager {
    int socket; /* -1: there is nobody to tell */
    struct sockaddr_un to;
    socklen_t to_n;
    uint64_t every_ms;  /* signs of life */
    bool watched;       /* the manager ends a service without them */
    char *variables[3]; /* their values, or NULL */
    struct loop *loop;
    struct loop_timer due;
};

/* Removes the variables from the environment, so that no other program speaks for us. */
void service_manager_init(struct service_manager *m, struct loop *loop);
void service_manager_free(struct service_manager *m);

/* Puts the variables back, for a program that takes the place of this one. */
void service_manager_hand_over(const struct service_manager *m);

/* The first request can be answered. */
void service_manager_ready(struct service_manager *m);
/* SIGHUP has arrived. Call service_manager_ready when its work is done. */
void service_manager_reloading(struct service_manager *m);
void service_manager_stopping(struct service_manager *m);

/* Call it after each round of the loop. Tells, when that is due, that a start is still going on, or
 * later that the service lives. */
void service_manager_tick(struct service_manager *m, bool starting, bool alive);
