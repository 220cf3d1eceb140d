#include "process/worker/fcgi.h"
#include <errno.h>
#include <fcgiapp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include "util/buf.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/parse.h"

#define REQUEST_MEMORY_MAX (32u << 20)
#define HEADERS_MAX (64u << 10)
/* A body buffer larger than this, in bytes, isn't kept for the next request. */
#define BODY_KEEP (256u << 10)
/* nginx takes all headers of an answer in one page. A longer text is left out, and nginx has one of
 * its own. */
#define AUTH_TEXT_MAX 2048
/* Pause after a failed accept (no descriptors, for example). */
#define ACCEPT_PAUSE_MS 100
#define ACCEPT_FAILURES_MAX 100

/* The headers of a stream are held back until it has this many bytes, or all. */
#define STREAM_FIRST (8u << 10)
/* Bytes sent between two looks at the reader: no more than a socket takes that poll calls writable.
 */
#define SEND_STEP (8 << 10)
#define READER_POLL_MS 250

const struct fcgi_limits fcgi_limits_default = {
    .patience_ms = 30000,
    .rate = 64u << 10,
    .still_ms = 5000,
    .stuck_ms = 60000,
};

static volatile sig_atomic_t worker_stopping;
static volatile sig_atomic_t worker_retires;

void
fcgi_stop(void)
{
    worker_stopping = 1;
    worker_retires = 0;
    FCGX_ShutdownPending();
}

void
fcgi_retire(void)
{
    if (!worker_stopping)
        worker_retires = 1;
    worker_stopping = 1;
}

/* ---- the request ---- */

enum param {
    PARAM_ROLE,
    PARAM_METHOD,
    PARAM_URI,
    PARAM_PATH,
    PARAM_LENGTH,
    PARAM_TYPE,
    PARAM_USER,
    PARAM_HOST,
    PARAM_ADDRESS,
    PARAM_BODY_FILE,
    PARAM_REQUEST_ID,
    PARAM_COUNT,
};

static const struct {
    const char *name;
    bool required;
} params[PARAM_COUNT] = {
    [PARAM_ROLE] = {"ROLE", true},
    [PARAM_METHOD] = {"REQUEST_METHOD", true},
    [PARAM_URI] = {"REQUEST_URI", true},
    [PARAM_PATH] = {"DOCUMENT_URI", true},
    [PARAM_LENGTH] = {"CONTENT_LENGTH", false},
    [PARAM_TYPE] = {"CONTENT_TYPE", false},
    [PARAM_USER] = {"REMOTE_USER", false},
    [PARAM_HOST] = {"HTTP_HOST", false},
    [PARAM_ADDRESS] = {"REMOTE_ADDR", false},
    [PARAM_BODY_FILE] = {"REQUEST_BODY_FILE", false},
    [PARAM_REQUEST_ID] = {"REGISTRY_REQUEST_ID", false},
};

struct call {
    struct connections connections;
    const struct fcgi_limits *limits;
    FCGX_Request *fcgi;
    struct http_request req;
    struct arena arena;
    struct buf body;
    uint64_t sent;  /* bytes of the answer's body */
    uint64_t since; /* when the answer began, clock_mono_ms */
};

/* The status and the reason for a request that can't go on. */
struct refusal {
    int status;
    const char *why;
};

/* Parameters of locations come first, and libfcgi returns the first of a name. A name that is there
 * twice means that the configuration isn't ours, or was tampered with. Parameters made of the
 * client's headers (HTTP_…) may repeat. */
static const char *
first_twice(char *const *envp)
{
    for (; *envp != NULL; envp++) {
        size_t n = strcspn(*envp, "=") + 1;
        if (strncmp(*envp, "HTTP_", 5) == 0)
            continue;
        for (char *const *other = envp + 1; *other != NULL; other++)
            if (strncmp(*envp, *other, n) == 0)
                return *envp;
    }
    return NULL;
}

static bool
parse_role(const char *text, enum http_role *role)
{
    static const char *const names[] = {
        [ROLE_MAIN] = "main", [ROLE_AUTH] = "auth", [ROLE_UPLOAD] = "upload"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) == 0) {
            *role = (enum http_role)i;
            return true;
        }
    }
    return false;
}

static const char *
find_header(const struct http_request *r, const char *cgi_name)
{
    const struct call *call = r->carrier;
    return FCGX_GetParam(cgi_name, call->fcgi->envp);
}

/* The path and query behind the method, as the client sent them. */
static bool
split_uri(struct call *call, const char *uri)
{
    size_t n = strcspn(uri, "?");
    call->req.raw_path = arena_copy(&call->arena, uri, n);
    call->req.query = uri[n] == '?' ? uri + n + 1 : "";
    return call->req.raw_path != NULL;
}

static bool
read_params(struct call *call, struct refusal *no)
{
    const char *v[PARAM_COUNT];
    struct http_request *r = &call->req;
    const char *bad = first_twice(call->fcgi->envp);
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        v[i] = FCGX_GetParam(params[i].name, call->fcgi->envp);
        if (v[i] == NULL && params[i].required)
            bad = params[i].name;
        if (v[i] == NULL)
            v[i] = "";
    }
    *r = (struct http_request){
        .method = http_method_parse(v[PARAM_METHOD]),
        .method_text = v[PARAM_METHOD],
        .path = v[PARAM_PATH],
        .user = v[PARAM_USER],
        .remote_addr = v[PARAM_ADDRESS],
        .host = v[PARAM_HOST],
        .content_type = v[PARAM_TYPE],
        .body_file = v[PARAM_BODY_FILE],
        .id = v[PARAM_REQUEST_ID],
        .header = find_header,
        .carrier = call,
    };
    log_set_request(r->id);
    if (!parse_role(v[PARAM_ROLE], &r->role))
        bad = params[PARAM_ROLE].name;
    if (bad != NULL) {
        log_client_line(
            LOG_ERROR,
            "a FastCGI parameter is missing, wrong or duplicate: is nginx's configuration ours?",
            "name=%s", bad);
        *no = (struct refusal){500, "the web server in front isn't configured for this registry"};
        return false;
    }
    if (!split_uri(call, v[PARAM_URI])) {
        *no = (struct refusal){414, "the request line is too long"};
        return false;
    }
    r->has_length = *v[PARAM_LENGTH] != '\0';
    if (r->has_length && !parse_u64(v[PARAM_LENGTH], strlen(v[PARAM_LENGTH]), &r->content_length)) {
        *no = (struct refusal){400, "Content-Length is not a number"};
        return false;
    }
    return true;
}

static bool
read_body(struct call *call, struct refusal *no)
{
    struct buf *body = &call->body;
    struct http_request *r = &call->req;
    if (*r->body_file != '\0') /* then nginx sends no body here */
        return true;
    *no = (struct refusal){413, "the request body is too large"};
    if (r->has_length && r->content_length > HTTP_BODY_MAX)
        return false;
    for (;;) {
        const int step = 16384;
        size_t had = body->n;
        void *at = buf_extend(body, (size_t)step);
        int got;

        if (at == NULL)
            return false;
        got = FCGX_GetStr(at, step, call->fcgi->in);
        buf_cut(body, had + (got > 0 ? (size_t)got : 0));
        if (got < step)
            break;
    }
    if (body->n > HTTP_BODY_MAX)
        return false;
    *no = (struct refusal){400, "the request body is not as long as announced"};
    if (FCGX_GetError(call->fcgi->in) != 0 || (r->has_length && body->n != r->content_length))
        return false;
    r->body = buf_bytes(body);
    return true;
}

/* ---- the reply ---- */

static void
put_headers(struct buf *out, const struct http_reply *reply, const char *only)
{
    for (size_t i = 0; i < reply->headers_n; i++) {
        const struct http_header *h = &reply->headers[i];
        if (only == NULL || strcasecmp(h->name, only) == 0)
            buf_putf(out, "%s: %s\r\n", h->name, h->value);
    }
}

/* ---- the reader ---- */

static bool
cut_reader_off(const struct call *call)
{
    log_client_line(LOG_INFO, "a slow reader was cut off", "path=%s bytes=%llu user=%s address=%s",
                    call->req.raw_path, (unsigned long long)call->sent, call->req.user,
                    call->req.remote_addr);
    return false;
}

/* Waits until nginx takes more, since its buffers for the client may be full. False: the client has
 * taken nothing for too long. */
static bool
await_reader(const struct call *call)
{
    const struct fcgi_limits *l = call->limits;
    struct pollfd out = {.fd = call->fcgi->ipcFd, .events = POLLOUT};
    uint64_t begin, still;

    if (poll(&out, 1, 0) == 1)
        return true;
    begin = clock_mono_ms();
    while (poll(&out, 1, READER_POLL_MS) != 1) {
        still = clock_mono_ms() - begin;
        if (still > l->stuck_ms || (still > l->still_ms && connections_wait(&call->connections)))
            return cut_reader_off(call);
    }
    return true;
}

/* True if the client reads too slowly while others wait. */
static bool
is_in_the_way(const struct call *call)
{
    const struct fcgi_limits *l = call->limits;
    uint64_t ms = clock_mono_ms() - call->since;

    return ms > l->patience_ms && call->sent / l->rate < ms / 1000 &&
           connections_wait(&call->connections);
}

/* False: nginx went away, or the reader was cut off. */
static bool
send_all(struct call *call, struct bytes b)
{
    FCGX_Stream *out = call->fcgi->out;
    const char *p = b.p;

    while (b.n > 0) {
        int step = b.n > SEND_STEP ? SEND_STEP : (int)b.n;
        bool is_buffered = step < out->stop - out->wrNext; /* by the library */

        if ((!is_buffered && !await_reader(call)) || FCGX_PutStr(p, step, out) < 0)
            return false;
        p += step;
        b.n -= (size_t)step;
    }
    return true;
}

static bool
send_body(struct call *call, struct bytes b)
{
    while (b.n > 0) {
        size_t step = b.n < SEND_STEP ? b.n : SEND_STEP;

        if (!send_all(call, bytes_of(b.p, step)))
            return false;
        call->sent += step;
        b = bytes_of((const char *)b.p + step, b.n - step);
        if (is_in_the_way(call))
            return cut_reader_off(call);
    }
    return true;
}

/* ---- the reply ---- */

/* Sends status line and headers. False: they are too long, and an error was sent instead, or nginx
 * went away. */
static bool
send_head(struct call *call, const struct http_reply *reply, bool has_length, uint64_t length)
{
    struct buf head;
    bool good;

    buf_init(&head, HEADERS_MAX);
    buf_putf(&head, "Status: %d %s\r\n", reply->status, http_reason(reply->status));
    put_headers(&head, reply, NULL);
    if (has_length)
        buf_putf(&head, "Content-Length: %llu\r\n", (unsigned long long)length);
    buf_puts(&head, "\r\n");
    good = buf_ok(&head);
    if (good)
        good = send_all(call, buf_bytes(&head));
    else
        send_all(call, bytes_str("Status: 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"));
    buf_free(&head);
    return good;
}

static void
send_reply(struct call *call, const struct http_reply *reply)
{
    bool bare = reply->status == 204 || reply->status == 304; /* RFC 9110, 8.6 */
    uint64_t length = reply->length_known ? reply->length : reply->body.n;
    if (send_head(call, reply, !bare, length) && !bare && call->req.method != HTTP_HEAD)
        send_body(call, reply->body);
}

/* ---- a reply that is made while it is sent ---- */

struct outlet {
    struct http_sink sink; /* first: the part that a producer sees */
    struct call *call;
    const struct http_reply *reply;
    struct buf first;
    bool begun; /* the headers are sent */
    bool gone;  /* the client is gone, or was cut off */
};

static bool
begin_output(struct outlet *o, bool has_length, uint64_t length)
{
    o->begun = true;
    return send_head(o->call, o->reply, has_length, length) &&
           send_body(o->call, buf_bytes(&o->first));
}

static int
put_piece(struct http_sink *to, struct bytes b, struct err *err)
{
    struct outlet *o = (struct outlet *)to;
    const struct http_reply *r = o->reply;
    bool good = true;
    if (!o->begun && b.n < STREAM_FIRST - o->first.n) {
        buf_put(&o->first, b.p, b.n);
        return 0;
    }
    if (!o->gone && !o->begun)
        good = begin_output(o, r->length_known, r->length);
    o->gone = o->gone || !good || !send_body(o->call, b);
    return o->gone ? err_set(err, ERR_BUSY, "the client went away") : 0;
}

/* The whole body was put. False: its length isn't the announced one. */
static bool
end_stream(struct outlet *o)
{
    const struct http_reply *r = o->reply;
    uint64_t n = o->begun ? o->call->sent : o->first.n;
    if (r->length_known && n != r->length) {
        log_client_line(LOG_ERROR, "an answer has another length than announced",
                        "path=%s bytes=%llu user=%s address=%s", o->call->req.raw_path,
                        (unsigned long long)n, o->call->req.user, o->call->req.remote_addr);
        return false;
    }
    if (!o->begun)
        begin_output(o, true, n);
    return true;
}

/* nginx learns of a broken answer only from the missing end of the request, with fastcgi_keep_conn
 * on. It then breaks the client's connection, or stream. */
static void
break_off(struct call *call)
{
    FCGX_Free(call->fcgi, 1);
}

static void
run_stream(struct call *call, struct http_reply *reply)
{
    struct outlet o = {.sink = {put_piece}, .call = call, .reply = reply};
    struct err err = {.code = ERR_NONE};
    int rc;

    buf_init(&o.first, STREAM_FIRST);
    FCGX_Detach(call->fcgi); /* otherwise closing waits until nginx has closed, and nginx waits for
                              * its client */
    rc = reply->stream.produce(reply->stream.arg, &o.sink, &err);
    if (rc == 0 && !o.gone && end_stream(&o)) {
        /* sent */
    } else if (rc != 0 && !o.begun && reply->refuse != NULL) {
        reply->refuse(reply, reply->refuse_arg, &err);
        send_reply(call, reply);
    } else {
        if (rc != 0 && !o.gone)
            log_client_line(LOG_WARN, "an answer was broken off",
                            "path=%s bytes=%llu user=%s address=%s why=%s", call->req.raw_path,
                            (unsigned long long)call->sent, call->req.user, call->req.remote_addr,
                            err.message);
        break_off(call);
    }
    buf_free(&o.first);
}

static void
send_stream(struct call *call, struct http_reply *reply)
{
    const struct http_stream stream = reply->stream;
    if (call->req.method == HTTP_HEAD)
        send_head(call, reply, reply->length_known, reply->length);
    else
        run_stream(call, reply);
    if (stream.release != NULL)
        stream.release(stream.arg);
}

/* The body in a header: on one line. */
static void
put_header_text(struct buf *head, struct bytes body)
{
    const char *p = body.p;
    if (body.n == 0 || body.n > AUTH_TEXT_MAX)
        return;
    buf_puts(head, "X-Registry-Error: ");
    for (size_t i = 0; i < body.n; i++)
        buf_putc(head, (unsigned char)p[i] < ' ' || p[i] == 0x7f ? ' ' : p[i]);
    buf_puts(head, "\r\n");
}

/* nginx before 1.23 passes on only one challenge; conf/ adds the second of the first API. */
static void
put_challenge(struct buf *head, const struct http_reply *reply)
{
    for (size_t i = 0; i < reply->headers_n; i++) {
        const struct http_header *h = &reply->headers[i];
        if (strcmp(h->name, "WWW-Authenticate") == 0) {
            buf_putf(head, "%s: %s\r\n", h->name, h->value);
            return;
        }
    }
}

/* auth_request takes any 2xx as a yes, and passes on only 401 with its challenge, and 403; other
 * statuses would become 500. So the real status and body travel in headers, and conf/ puts them
 * together again. */
static void
send_verdict(struct call *call, const struct http_reply *reply)
{
    struct buf head;

    if (reply->status >= 200 && reply->status <= 299) {
        send_all(call, bytes_str("Status: 204\r\n\r\n"));
        return;
    }
    buf_init(&head, HEADERS_MAX);
    buf_putf(&head, "Status: %d\r\n", reply->status == 401 ? 401 : 403);
    if (reply->status == 401)
        put_challenge(&head, reply);
    put_headers(&head, reply, "Retry-After");
    put_headers(&head, reply, "Allow");
    put_headers(&head, reply, "X-Registry-User");
    put_headers(&head, reply, "X-Registry-Owner");
    put_headers(&head, reply, "X-Registry-Pass");
    buf_putf(&head, "X-Registry-Status: %d\r\n", reply->status);
    put_header_text(&head, reply->body);
    buf_puts(&head, "Content-Length: 0\r\n\r\n");
    send_all(call, buf_ok(&head) ? buf_bytes(&head)
                                 : bytes_str("Status: 403\r\nContent-Length: 0\r\n\r\n"));
    buf_free(&head);
}

/* Answers a request that reaches no handler. Our nginx sends no such request. */
static void
put_refusal(struct call *call, const struct refusal *no)
{
    struct http_reply reply;
    const char *body;

    log_client_line(LOG_WARN, "request refused", "status=%d address=%s why=%s", no->status,
                    call->req.remote_addr, no->why);
    reply = (struct http_reply){.status = no->status};
    body = arena_printf(&call->arena, "{\"errors\":[{\"code\":\"UNKNOWN\",\"message\":\"%s\"}]}",
                        no->why);
    if (body != NULL)
        reply.body = bytes_str(body);
    http_reply_header(&reply, "Content-Type", "application/json");
    send_reply(call, &reply);
}

/* ---- the loop ---- */

static void
serve_one(struct call *call, fcgi_handler *handle, fcgi_end *end, void *arg)
{
    uint64_t since = clock_mono_us(), us;
    struct refusal no;
    struct http_reply reply;

    if (!read_params(call, &no) || (call->req.role == ROLE_MAIN && !read_body(call, &no))) {
        put_refusal(call, &no);
        end(NULL, arg);
        return;
    }
    reply = (struct http_reply){.status = 500};
    call->sent = 0;
    if ((call->req.method & (HTTP_GET | HTTP_HEAD)) == 0 && call->req.role != ROLE_AUTH)
        connections_pass_on(&call->connections, call->fcgi->ipcFd); /* a commit takes long */
    handle(&call->req, &call->arena, &reply, arg);
    call->since = clock_mono_ms();
    if (call->req.role == ROLE_AUTH)
        send_verdict(call, &reply);
    else if (reply.stream.produce != NULL)
        send_stream(call, &reply);
    else
        send_reply(call, &reply);
    us = clock_mono_us() - since;
    end(&(struct fcgi_done){&call->req, &reply, call->sent, us}, arg);
    log_line(LOG_DEBUG, "request", "method=%s path=%s role=%d status=%d ms=%llu user=%s address=%s",
             call->req.method_text, call->req.raw_path, (int)call->req.role, reply.status,
             (unsigned long long)us / 1000, call->req.user, call->req.remote_addr);
}

static void
forget_call(struct call *call)
{
    log_set_request("");
    arena_reset(&call->arena);
    if (call->body.room > BODY_KEEP)
        buf_free(&call->body);
    else
        buf_reset(&call->body);
}

/* What is left of a request would be taken for the next one. All that nginx sends is an empty
 * record, if it keeps the body to itself. False: there is more. */
static bool
is_read_to_its_end(struct call *call)
{
    char more;

    return FCGX_GetStr(&more, 1, call->fcgi->in) == 0 && FCGX_GetError(call->fcgi->in) == 0;
}

/* Takes a request: on that kept connection, or on a new one if fd is -1. 0, or a negative errno. */
static int
take_request(struct call *call, int fd)
{
    FCGX_Request *fcgi = call->fcgi;

    fcgi->ipcFd = fd;
    /* A connection that breaks off must not be replaced by a new one unnoticed. */
    fcgi->listen_sock = fd < 0 ? call->connections.socket : -1;
    fcgi->keepConnection = 1; /* or the library would close it now */
    fcgi->detached = 0;
    return FCGX_Accept_r(fcgi);
}

/* A request has ended, or failed; fd was its connection if that was kept. */
static void
end_connection(struct call *call, int fd)
{
    FCGX_Request *fcgi = call->fcgi;
    int used = fcgi->ipcFd >= 0 ? fcgi->ipcFd : fd; /* the library forgets it when it closes it */

    if (fcgi->in != NULL) {
        if (fcgi->keepConnection != 0 &&
            (!is_read_to_its_end(call) || !connections_keep(&call->connections, fcgi->ipcFd)))
            fcgi->keepConnection = 0;
        if (fcgi->keepConnection == 0)
            connections_forget(&call->connections, fd); /* before the library closes it */
        FCGX_Finish_r(fcgi);
    }
    if (fcgi->ipcFd < 0)
        connections_forget(&call->connections, used);
    fcgi->ipcFd = -1;
}

static int
serve_connection(struct call *call, int fd, fcgi_handler *handle, fcgi_end *end, void *arg)
{
    int rc = take_request(call, fd);

    if (rc == 0)
        serve_one(call, handle, end, arg);
    end_connection(call, fd);
    return rc;
}

/* Failures that say nothing about the socket. */
static bool
is_no_failure(int rc, bool kept)
{
    return rc == -EAGAIN || rc == -EINTR || kept || worker_stopping;
}

int
fcgi_serve(int socket, const struct connections_pool *pool, const struct fcgi_limits *limits,
           fcgi_handler *handle, fcgi_end *end, void *arg, struct err *err)
{
    FCGX_Request fcgi;
    struct call call = {.limits = limits, .fcgi = &fcgi};
    int failures = 0, fd, rc;

    if (FCGX_Init() != 0 || FCGX_InitRequest(&fcgi, socket, FCGI_FAIL_ACCEPT_ON_INTR) != 0)
        return err_set(err, ERR_SYSTEM, "the FastCGI library doesn't start");
    if (connections_open(&call.connections, socket, pool, err) < 0)
        return -1;
    arena_init(&call.arena, REQUEST_MEMORY_MAX);
    buf_init(&call.body, HTTP_BODY_MAX + 65536);
    while (!worker_stopping && failures < ACCEPT_FAILURES_MAX) {
        enum connections_speaker who = connections_next(&call.connections, &fd);

        if (who == CONNECTIONS_NONE)
            continue;
        rc = serve_connection(&call, who == CONNECTIONS_KEPT ? fd : -1, handle, end, arg);
        if (rc == 0) {
            failures = 0;
            forget_call(&call);
        } else if (!is_no_failure(rc, who == CONNECTIONS_KEPT)) {
            failures++;
            err_set(err, ERR_SYSTEM, "cannot take requests: %s", strerror(-rc));
            if (rc == -EMFILE || rc == -ENFILE)
                connections_refuse(&call.connections);
            clock_sleep_ms(ACCEPT_PAUSE_MS);
        }
    }
    connections_close(&call.connections, worker_retires);
    buf_free(&call.body);
    return failures < ACCEPT_FAILURES_MAX ? 0 : -1;
}
