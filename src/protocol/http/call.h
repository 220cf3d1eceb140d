#ifndef PROTOCOL_HTTP_CALL_H
#define PROTOCOL_HTTP_CALL_H

#include "domain/access/access.h"
#include "domain/registry.h"
#include "protocol/http/http.h"
#include "protocol/http/query.h"
#include "util/json.h"

/* One request on its way through the dispatcher to its handler. */
struct call {
    const struct registry *reg;
    const struct http_request *req;
    struct http_reply *reply;
    struct arena *arena;
    struct query query;
    struct actor actor;
    const char *token;     /* that the actor came with, valid; NULL: with a password, or nothing */
    const char *name;      /* of the route's repository, valid, the one that is meant; else NULL */
    const char *first;     /* the route's first variable but {name}; else NULL */
    const char *last;      /* the route's last variable: digest, reference, upload; else NULL */
    const char *last_name; /* how the route calls it: "{digest}"; with `last` only */
    struct bytes rest;     /* a path inside of an image: "" or with a slash in front; any bytes */
};

/* A handler fills the reply and returns 0, or returns -1 with err filled: then the dispatcher makes
 * the error's reply of it, and keeps the headers that are set. */
typedef int call_handler(struct call *c, struct err *err);

/* Texts in the arena: these set *out, or fail with ERR_SYSTEM. */
int call_text(struct call *c, const char **out, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Adds a header with a formatted value. */
int call_header(struct call *c, struct err *err, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* What goes in front of a path of ours in an answer: --base-url, or "". */
const char *call_base(const struct call *c);

/* A status without a body. */
int call_empty(struct call *c, int status);

/* A JSON body; frees it. */
int call_json(struct call *c, int status, struct json *body, struct err *err);
/* The same, of another type than application/json. */
int call_json_as(struct call *c, int status, const char *content_type, struct json *body,
                 struct err *err);

/* A body that is made while it is sent: the last thing that a handler does, since from here on the
 * stream's `release` is called by whoever sends. */
int call_stream(struct call *c, int status, const char *content_type,
                const struct http_stream *stream);
/* The same, of so many bytes. */
int call_stream_of(struct call *c, int status, const char *content_type, uint64_t length,
                   const struct http_stream *stream);

/* Lets nginx send a file below layers/, with HEAD, and the headers of the reply; with ranges, or
 * whole whatever the client's Range says. cache_control: for whoever may keep it how long. */
enum call_file_mode {
    FILE_RANGES,
    FILE_WHOLE,
};
int call_file(struct call *c, const char *path, enum call_file_mode mode, const char *cache_control,
              struct err *err);

#endif
