#pragma once

#include "domain/access/access.h"
#include "domain/core/condition.h"
#include "domain/registry.h"
#include "protocol/http/http.h"
#include "protocol/http/query.h"
#include "util/json.h"

struct route_table;

/* One request on its way through the dispatcher to its handler. */
struct call {
    const struct route_table *routes;
    const struct registry *reg;
    const struct http_request *req;
    struct http_reply *reply;
    struct arena *arena;
    struct query query;
    struct actor actor;
    const char *token;     /* the valid token of the first API that the actor came with; NULL: a
                            * password, or nothing */
    bool is_passed_on;     /* by another node, which has checked the user */
    bool token_invalid;    /* the client sent an invalid token of the second API */
    bool needs_password;   /* the answer 401 asks for a password: a token doesn't help */
    enum verb verb;        /* the route's right; VERB_PUBLIC while no route is found */
    const char *name;      /* the name of the route's repository, valid and resolved (with or
                            * without library/); else NULL */
    const char *first;     /* the route's first variable but {name}; else NULL */
    const char *last;      /* the route's last variable: digest, reference, upload; else NULL */
    const char *last_name; /* the name of that variable in the route: "{digest}"; only with
                            * `last` */
    struct bytes rest;     /* a path inside an image: "" or beginning with a slash; any bytes */
};

/* A handler fills the reply and returns 0, or returns -1 with err filled. The dispatcher then makes
 * the reply of that error, and keeps the headers that are set. */
typedef int call_handler(struct call *c, struct err *err);

/* Formats a text in the arena. 0, or -1 and ERR_SYSTEM. */
int call_text(struct call *c, const char **out, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Adds a header with a formatted value. */
int call_header(struct call *c, struct err *err, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The prefix of our own paths in an answer: --base-url, or "". */
const char *call_base(const struct call *c);

/* Does If-None-Match of a GET or HEAD name this ETag, which is given without quotes? (RFC 9110
 * 13.1.2) */
bool call_is_unchanged(const struct call *c, const char *etag);

/* Parses If-Match and If-None-Match of a request that changes something. */
int call_condition(const struct call *c, struct condition *out, struct err *err);

/* The following functions make the whole reply, and return 0 unless they can fail. */

/* A status without a body. */
int call_empty(struct call *c, int status);

/* A body that lives as long as the arena. */
int call_body(struct call *c, int status, const char *content_type, struct bytes body);

/* The same with a copy of the body in the arena. */
int call_copy(struct call *c, int status, const char *content_type, struct bytes body,
              struct err *err);

/* A JSON body; frees it. */
int call_json(struct call *c, int status, struct json *body, struct err *err);
/* The same with another type than application/json. */
int call_json_as(struct call *c, int status, const char *content_type, struct json *body,
                 struct err *err);

/* Lets nginx ask a worker of another pool with the same request: POOL_LIST for a read, else
 * POOL_BULK. */
int call_elsewhere(struct call *c, struct err *err);

/* A body that is produced while it is sent. Must be the last call of a handler: from now on the
 * sender calls the stream's `release`. */
int call_stream(struct call *c, int status, const char *content_type,
                const struct http_stream *stream);
/* The same for a body whose size is known. */
int call_stream_of(struct call *c, int status, const char *content_type, uint64_t length,
                   const struct http_stream *stream);

/* Lets nginx send a file below layers/, with the headers of the reply, also for HEAD. FILE_WHOLE
 * ignores the client's Range. size: of the file. cache_control: the header Cache-Control. */
enum call_file_mode {
    FILE_RANGES,
    FILE_WHOLE,
};
int call_file(struct call *c, const char *path, uint64_t size, enum call_file_mode mode,
              const char *cache_control, struct err *err);
