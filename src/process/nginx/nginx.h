#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "process/nginx/nginx_guard.h"
#include "process/nginx/nginx_log.h"
#include "process/server/server.h"
#include "process/server/start_throttle.h"
#include "util/loop.h"

/* The system's nginx as our child. It gets the ports that we bound, and dies with us. Times are
 * clock_mono_ms(). With --fastcgi there is none: these functions then do nothing, and succeed. */

enum nginx_state {
    NGINX_OFF,
    NGINX_STARTING, /* until its pid file exists: then it has read its configuration */
    NGINX_UP,
    NGINX_WAITING, /* died; starts again at start_at */
    NGINX_STOPPING,
    NGINX_GONE,
    NGINX_BROKEN, /* did not start: see message */
};

struct nginx {
    const struct server *server;
    struct loop *loop;
    struct loop_child child;
    char program[256];
    enum nginx_state state;
    bool was_up;
    uint64_t since_ms; /* of the start, or of the stop */
    uint64_t start_at;
    int stop_step; /* the signals that were sent so far */
    struct start_throttle throttle;
    struct nginx_guard guard;
    struct nginx_log log;
    struct loop_fd log_readable;
    int log_end; /* where nginx writes, during the fork */
    char message[ERR_MESSAGE_MAX];
};

/* Finds the program, in PATH and in directories that are often not in a user's PATH. */
bool nginx_find(char *program, size_t room);
/* Appends its configuration for the options and listeners of a server. */
int nginx_text(const struct server *s, struct buf *out, struct err *err);

/* In a child that becomes nginx: lets it inherit the server's open ports and no other descriptor
 * above stderr, also none that the master was started with. nginx takes these ("3;4;" in its
 * environment) instead of binding; a test of it forgives that it can't bind the others. */
int nginx_pass_sockets(const struct server *s);

/* Finds the program. If there is none, the message names the package. */
int nginx_init(struct nginx *n, const struct server *s, struct loop *loop, struct err *err);
/* Call this in state NGINX_GONE. */
void nginx_free(struct nginx *n);
/* Writes run/nginx.conf. */
int nginx_configure(const struct nginx *n, struct err *err);

/* It goes on under the program that takes our place: the same process, so the same parent. */
void nginx_hand_over(const struct nginx *n, struct handover *h);
/* Instead of nginx_configure and nginx_start, in that program. Lets nginx read its configuration
 * again if that has changed. */
int nginx_take(struct nginx *n, const struct handover *h, struct err *err);

int nginx_start(struct nginx *n, struct err *err);
/* Does what is due. */
void nginx_tick(struct nginx *n);
/* Lets nginx read its certificates again, if it has any. Requests in progress go on. */
void nginx_reload(const struct nginx *n);

/* Lets it finish its requests, for some seconds; with hurry for half a second. The state becomes
 * NGINX_GONE. */
void nginx_stop(struct nginx *n, bool hurry);
