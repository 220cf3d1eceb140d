#include "protocol/http/cors.h"
#include <strings.h>
#include "util/buf.h"

/* Seconds that a browser may keep the answer. Browsers have maxima of their own, mostly two
 * hours. */
#define MAX_AGE "7200"

/* The names of Access-Control-Request-Headers that are sent back. */
#define ECHO_MAX 1024

/* RFC 9110 5.6.2 */
#define TOKEN_BYTES                                                  \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" \
    "!#$%&'*+-.^_`|~"

static const struct {
    enum http_method method;
    const char *text;
} method_names[] = {
    {HTTP_GET, "GET"},     {HTTP_HEAD, "HEAD"},     {HTTP_PUT, "PUT"},         {HTTP_POST, "POST"},
    {HTTP_PATCH, "PATCH"}, {HTTP_DELETE, "DELETE"}, {HTTP_OPTIONS, "OPTIONS"},
};

static int
add_methods(struct call *c, const char *header, unsigned methods, struct err *err)
{
    char text[64] = "";
    size_t n = 0;

    for (size_t i = 0; i < sizeof method_names / sizeof method_names[0]; i++) {
        size_t length = strlen(method_names[i].text);

        if ((methods & method_names[i].method) == 0 || n + length + 3 > sizeof text)
            continue;
        memcpy(text + n, ", ", n > 0 ? 2 : 0);
        n += n > 0 ? 2 : 0;
        memcpy(text + n, method_names[i].text, length + 1);
        n += length;
    }
    return call_header(c, err, header, "%s", text);
}

int
cors_add_allow(struct call *c, unsigned methods, struct err *err)
{
    return add_methods(c, "Allow", methods | HTTP_OPTIONS, err);
}

/* Every valid header name is sent back. The request that follows decides which of them mean
 * something. */
static int
add_cors_headers(struct call *c, struct err *err)
{
    const char *asked = c->req->header(c->req, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS");
    struct buf echo;
    int rc = 0;

    http_reply_header(c->reply, "Vary", "Access-Control-Request-Headers");
    buf_init(&echo, ECHO_MAX);
    while (asked != NULL && *asked != '\0') {
        size_t n;

        asked += strspn(asked, ", \t");
        n = strspn(asked, TOKEN_BYTES);
        if (n > 0 && strchr(", \t", asked[n]) != NULL && echo.n + n + 2 < ECHO_MAX)
            buf_putf(&echo, "%s%.*s", echo.n > 0 ? ", " : "", (int)n, asked);
        asked += strcspn(asked, ",");
    }
    if (echo.n > 0)
        rc = call_header(c, err, "Access-Control-Allow-Headers", "%s", buf_text(&echo));
    buf_free(&echo);
    return rc;
}

/* Has nginx decided that the page may read the answer? */
static bool
is_allowed(const struct call *c)
{
    const char *origin = c->req->header(c->req, "REGISTRY_CORS");

    return origin != NULL && origin[0] != '\0';
}

/* Is it certain that the host of the request isn't a stranger's name with our address (DNS
 * rebinding)? It is for an address, for a name without a dot, and for the host of --base-url. */
static bool
is_host_sure(const struct call *c)
{
    const char *host = c->req->host;
    const char *base = strstr(call_base(c), "://");
    size_t name = strcspn(host, ":");
    size_t n = strlen(host);

    return host[0] == '[' || strspn(host, "0123456789.") == name ||
           memchr(host, '.', name) == NULL ||
           (base != NULL && strncasecmp(base + 3, host, n) == 0 &&
            (base[3 + n] == '\0' || base[3 + n] == '/'));
}

/* Does the page come from the host of the request? A browser sends a password only to the host for
 * which it was typed; without users this protects nothing, so the host must be certain. */
static bool
is_our_page(const struct call *c, const char *origin)
{
    const char *host = strstr(origin, "://");

    return host != NULL && strcasecmp(host + 3, c->req->host) == 0 &&
           (access_users_exist(c->reg) || is_host_sure(c));
}

int
cors_check(struct call *c, struct err *err)
{
    const char *origin = c->req->header(c->req, "HTTP_ORIGIN");

    if ((c->req->method & (HTTP_GET | HTTP_HEAD | HTTP_OPTIONS)) != 0 || origin == NULL ||
        origin[0] == '\0' || is_allowed(c) || is_our_page(c, origin))
        return 0;
    return err_set(err, ERR_FOREIGN_PAGE, "web pages of %s may only read", origin);
}

int
cors_options(struct call *c, unsigned methods, struct err *err)
{
    if (cors_add_allow(c, methods, err) != 0)
        return -1;
    if (is_allowed(c)) {
        if (add_methods(c, "Access-Control-Allow-Methods", methods, err) != 0 ||
            add_cors_headers(c, err) != 0)
            return -1;
        http_reply_header(c->reply, "Access-Control-Max-Age", MAX_AGE);
    }
    return call_empty(c, 204);
}

int
cors_options_v1(struct call *c, struct err *err)
{
    const char *method = c->req->header(c->req, "HTTP_ACCESS_CONTROL_REQUEST_METHOD");
    bool reads = method != NULL && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0);

    if (!is_allowed(c))
        return call_empty(c, 204);
    /* A browser remembers all methods that are listed. The long text is the original's, to the
     * byte. */
    http_reply_header(c->reply, "Access-Control-Allow-Methods",
                      reads ? "GET,HEAD" : "GET,HEAD,PUT,PATCH,POST,DELETE");
    return add_cors_headers(c, err) != 0 ? -1 : call_empty(c, 204);
}
