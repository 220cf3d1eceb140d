#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/arena.h"
#include "util/bytes.h"
#include "util/err.h"

/* A request and its reply. Nothing in here knows FastCGI. */

enum http_method {
    HTTP_GET = 1 << 0,
    HTTP_HEAD = 1 << 1,
    HTTP_PUT = 1 << 2,
    HTTP_POST = 1 << 3,
    HTTP_PATCH = 1 << 4,
    HTTP_DELETE = 1 << 5,
    HTTP_OPTIONS = 1 << 6,
    HTTP_OTHER = 1 << 7,
};

/* The purpose of nginx's request (its parameter ROLE). */
enum http_role {
    ROLE_MAIN,   /* an ordinary request; a body comes through `body` */
    ROLE_AUTH,   /* may this request send a body? Asked before any byte of the body is kept */
    ROLE_UPLOAD, /* an upload whose body nginx has put into body_file */
};

struct http_request {
    enum http_method method;
    const char *method_text;
    enum http_role role;
    const char *raw_path; /* as the client sent it, up to the query */
    const char *path;     /* as nginx decoded and normalised it to choose the location */
    const char *query;    /* the part behind the ?, raw; "" when there is none */
    const char *user;     /* the user whose password nginx has checked; "" for none */
    const char *remote_addr;
    const char *id;           /* nginx's $request_id; "" when it tells none */
    const char *host;         /* as the client sent it; "" when it sent none */
    const char *content_type; /* "" when there is none */
    bool has_length;
    uint64_t content_length; /* ROLE_UPLOAD: of body_file, also when it came in chunks */
    const char *body_file;   /* ROLE_UPLOAD: "" when there was no body at all */
    struct bytes body;       /* ROLE_MAIN: read whole, at most HTTP_BODY_MAX; "" with a body_file */

    /* The value of a header, as the CGI variable of it ("HTTP_RANGE"), or NULL. */
    const char *(*header)(const struct http_request *r, const char *cgi_name);
    void *carrier; /* for the creator of the request */
};

/* The largest body that is read into memory: the largest manifest (OCI distribution-spec 1.1,
 * "Pushing Manifests": at least 4 MiB). */
#define HTTP_BODY_MAX (4u * 1024 * 1024)

#define HTTP_REPLY_HEADERS_MAX 40

struct http_header {
    const char *name;
    const char *value;
};

/* The receiver of a body that is made piece by piece. put returns 0, or -1 (ERR_BUSY) when the
 * client is gone or cut off; the producer then stops. The bytes are copied or sent when put
 * returns. */
struct http_sink {
    int (*put)(struct http_sink *to, struct bytes b, struct err *err);
};

/* A body that is made while it is sent. Its memory doesn't grow with its length. */
struct http_stream {
    /* Produces the whole body; not called for HEAD. 0, or -1: it can't be produced. The client then
     * gets an error if nothing was sent yet, and else a transfer that is visibly broken. */
    int (*produce)(void *arg, struct http_sink *to, struct err *err);
    void (*release)(void *arg); /* called once at the end, in all cases; NULL: nothing to do */
    void *arg;
};

/* A reply, filled by a handler. Texts are in the request's arena, or constants. */
struct http_reply {
    int status;
    struct http_header headers[HTTP_REPLY_HEADERS_MAX];
    size_t headers_n;
    struct bytes body; /* not sent for HEAD */
    /* the Content-Length if it isn't body.n: for a HEAD that read no body, or a stream */
    bool length_known;
    uint64_t length;
    struct http_stream stream; /* with produce: instead of body */
    /* Turns this reply into that of an error, for a stream that failed before its first bytes were
     * sent. The dispatcher sets it with every stream. */
    void (*refuse)(struct http_reply *r, void *arg, const struct err *err);
    void *refuse_arg;
    /* For counting. */
    unsigned route;      /* the number of the route's row, from 1 on; 0: none was found */
    uint64_t file_bytes; /* the size of the file that nginx sends */
    bool goes_on;        /* nginx sends the request to another worker, or here again */
};

/* The reason phrase of a status that we send (RFC 9110 15). Some clients fail on a status line
 * without one. */
const char *http_reason(int status);

/* RFC 9110 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT". */
#define HTTP_DATE_MAX 32
void http_date(char out[HTTP_DATE_MAX], int64_t seconds);

enum http_method http_method_parse(const char *text);

/* Adds a header. If the value holds a control character (from outside), the header is dropped, so
 * that nobody can split an answer. */
void http_reply_header(struct http_reply *r, const char *name, const char *value);
