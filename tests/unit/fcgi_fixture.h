#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "util/buf.h"

/* nginx's part of a connection to a worker, byte for byte (FastCGI 1.0). */

#define FCGI_LIMIT_MS 20000
#define FCGI_ANSWER_MAX ((size_t)20 << 20)

/* Makes a socket in a new directory, and listens. Returns its descriptor. */
int fcgi_listen(void);
void fcgi_close(int listener);

struct saying {
    const char *method, *path, *user, *body;
    const char *length; /* of the body, as announced */
    bool keep;
};

struct answer {
    struct buf out;
    bool ended; /* the request's end came, not only that of the connection */
};

int fcgi_connect(void);
void fcgi_say(int fd, const struct saying *w);
/* A request on a new connection, which isn't kept. */
int fcgi_ask(const char *method, const char *path);

/* n bytes. False: the connection ended. */
bool fcgi_take(int fd, void *p, size_t n);
/* The answer to one request; its connection may stay open. */
struct answer fcgi_hear_one(int fd);
/* The answer to the last one, with the end of the connection. */
struct answer fcgi_hear(int fd);
/* The NUL-terminated body. */
const char *fcgi_body(const struct answer *a, size_t *n);
