#include "protocol/http/dispatch.h"
#include "domain/core/pull.h"
#include "domain/core/repository.h"
#include "domain/core/quota.h"
#include "domain/core/upload.h"
#include "domain/core/upload_expiry.h"
#include "domain/core/upload_node.h"
#include "domain/core/upload_row.h"
#include "domain/metrics/metrics.h"
#include "protocol/http/cors.h"
#include "protocol/http/reply_error.h"
#include "protocol/http/route.h"
#include "protocol/http/http_auth.h"
#include "util/clock.h"
#include "util/network.h"
#include "util/share.h"

/* Finds the API by the raw path, so that an invalid request gets an error in its form, too. */
static enum error_form
form_of(const char *raw_path)
{
    return strncmp(raw_path, "/v2", 3) == 0 && (raw_path[3] == '/' || raw_path[3] == '\0')
               ? ERROR_FORM_OCI
               : ERROR_FORM_V1;
}

#define ALL_METHODS (HTTP_GET | HTTP_HEAD | HTTP_PUT | HTTP_POST | HTTP_PATCH | HTTP_DELETE)

static const struct route *
find_route(struct call *c, unsigned *allowed, struct err *err)
{
    const struct http_request *req = c->req;
    const struct route *route;
    struct path path;
    struct err ignored;

    if (path_parse(&path, req->raw_path, req->path, c->arena, err) != 0) {
        /* docker asks this when it has found no image. */
        if (form_of(req->raw_path) == ERROR_FORM_V1 && strstr(req->raw_path, "//") != NULL)
            err_set(err, ERR_NO_ROUTE, "nothing is served at %s", req->raw_path);
        return NULL;
    }
    if (query_parse(&c->query, req->query, c->arena, err) != 0)
        return NULL;
    route = route_find(c, &path, allowed, err);
    if (route == NULL && err->code == ERR_NO_METHOD && req->method != HTTP_OPTIONS)
        cors_add_allow(c, *allowed, &ignored);
    return route;
}

/* A client with an invalid token gets a new one, and isn't taken for one without. */
static int
check_rights(const struct call *c, enum verb verb, struct err *err)
{
    if (c->token_invalid && verb != VERB_PUBLIC)
        return err_set(err, ERR_UNAUTHORIZED,
                       "the token is invalid or has expired, or its user's password was changed");
    return access_check(c->reg, &c->actor, c->name, verb, err);
}

/* A client without a password doesn't learn which routes there are. */
static int
refuse_stranger(struct call *c, struct err *err)
{
    const char *path = c->req->raw_path;
    struct err refused;

    if ((strncmp(path, "/v1", 3) == 0 || strncmp(path, "/v2", 3) == 0) &&
        check_rights(c, VERB_LOGIN, &refused) != 0)
        *err = refused;
    return -1;
}

/* OPTIONS is answered without a password, because browsers send it before a page's request. So it
 * tells which routes there are, and nothing of what is stored. A path without a route allows all
 * methods: a page can read the 404 that follows, while a failed preflight would tell it nothing. */
static int
answer_options(struct call *c, enum error_form form, struct err *err)
{
    unsigned allowed = 0;

    if (form == ERROR_FORM_V1)
        return cors_options_v1(c, err);
    if (find_route(c, &allowed, err) == NULL && err->code != ERR_NO_METHOD &&
        err->code != ERR_NO_ROUTE)
        return -1;
    return cors_options(c, allowed != 0 ? allowed : ALL_METHODS, err);
}

/* A user, or the address of a request without a user, has only a part of a pool at the same time.
 */
static int
enter_pool(const struct call *c, struct err *err)
{
    char client[2 + RECORD_ACTOR_MAX + 1];
    bool named = c->actor.user[0] != '\0';

    if (c->reg->share == NULL)
        return 0;
    snprintf(client, sizeof client, "%c %s", named ? 'u' : 'a',
             named ? c->actor.user : c->actor.address);
    return share_enter(c->reg->share, client, err);
}

/* A client doesn't end an upload whose request was refused for good; it would count among
 * --max-uploads until it expires. */
static void
drop_refused_upload(const struct call *c)
{
    struct err ignored;
    struct upload u;

    if ((c->req->method & (HTTP_PUT | HTTP_PATCH)) != 0 && c->last != NULL &&
        upload_find(c->reg, c->name, c->last, &c->actor, &u, &ignored) == 0)
        upload_cancel(c->reg, &u, &ignored);
}

/* Is there room for what a push brings? */
static int
check_room(const struct call *c, const struct route *route, struct err *err)
{
    const struct http_request *req = c->req;
    bool is_asked = req->role == ROLE_AUTH && req->has_length;

    if ((req->method & (HTTP_POST | HTTP_PATCH | HTTP_PUT)) == 0)
        return 0;
    /* Only for an upload: a manifest may be there already, and then needs no room. */
    if (is_asked && route->pool == POOL_BULK && c->name != NULL && c->name[0] != '\0' &&
        quota_check_room(c->reg, c->name, req->content_length, err) != 0) {
        drop_refused_upload(c);
        return -1;
    }
    if (req->role == ROLE_AUTH && route->pool == POOL_BULK && c->last != NULL)
        upload_expiry_put_off(c->reg, c->last);
    return upload_room(c->reg, is_asked ? req->content_length : 0, err);
}

static int
refuse_write(const struct call *c, struct err *err)
{
    http_reply_header(c->reply, "Allow", "GET, HEAD, OPTIONS");
    return err_set(err, ERR_READ_ONLY, "this registry is read-only at the moment");
}

/* A request for an upload that another node has: nginx sends it there. 1: so it will; 0: it's for
 * this node; -1. A node that got it from another one doesn't pass it on. */
static int
pass_upload_on(struct call *c, struct err *err)
{
    const struct http_request *req = c->req;
    const struct upload_node_request r = {.method = req->method_text,
                                          .path = req->raw_path,
                                          .query = req->query,
                                          .user = c->actor.user,
                                          .address = c->actor.address};
    char address[UPLOAD_NODE_ADDRESS_MAX], text[UPLOAD_NODE_TEXT_MAX];
    const char *where = req->header(req, "REGISTRY_PASS");

    if (c->last == NULL || strcmp(c->last_name, "{upload}") != 0 || c->is_passed_on ||
        !upload_row_is_id(c->last) || !upload_node_is_other(c->reg, c->last))
        return 0;
    if (where == NULL)
        return err_set(err, ERR_SYSTEM, "the web server in front has no REGISTRY_PASS");
    if (upload_node_find(c->reg, c->last, address, err) != 0)
        return -1;
    if (!upload_node_sign(c->reg, c->last, &r, clock_wall_ms(), text))
        return err_set(err, ERR_SYSTEM, "the request can't be passed on to another server");
    *c->reply = (struct http_reply){
        .status = req->role == ROLE_AUTH ? 403 : 200, .goes_on = true, .route = c->reply->route};
    if (req->role != ROLE_AUTH)
        http_reply_header(c->reply, "X-Accel-Redirect", where);
    return call_header(c, err, "X-Registry-Owner", "%s", address) != 0 ||
                   call_header(c, err, "X-Registry-Pass", "%s", text) != 0
               ? -1
               : 1;
}

/* From the request to the handler, in the one order that every role shares. */
static int
answer_call(struct call *c, enum error_form form, struct err *err)
{
    const struct http_request *req = c->req;
    const struct route *route;
    unsigned allowed;
    int rc;

    if (req->method == HTTP_OPTIONS)
        return answer_options(c, form, err);
    if (cors_check(c, err) != 0)
        return -1;
    if (http_auth_enter(c, form, err) != 0)
        return -1;
    route = find_route(c, &allowed, err);
    if (route == NULL)
        return refuse_stranger(c, err);
    c->verb = route->verb;
    c->reply->route = 1 + (unsigned)(route - c->routes->rows);
    if (form == ERROR_FORM_V1 && c->name != NULL &&
        repository_meant(c->reg, &c->actor, c->name, c->arena, &c->name, err) != 0)
        return -1;
    if (check_rights(c, route->verb, err) != 0)
        return -1;
    if (c->reg->read_only && (route->verb == VERB_PUSH || route->verb == VERB_DELETE))
        return refuse_write(c, err);
    if ((route->verb == VERB_PUSH || route->verb == VERB_DELETE) &&
        metrics_is_clock_wrong(c->reg->metrics))
        return err_set(err, ERR_BUSY, "the clock of this server is wrong: try another one");
    rc = route->verb == VERB_PUSH ? pass_upload_on(c, err) : 0;
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    if (route->verb == VERB_PUSH && check_room(c, route, err) != 0)
        return -1;
    if (req->role == ROLE_AUTH)
        return call_empty(c, 204);
    if (form == ERROR_FORM_V1 && route->verb != VERB_PUBLIC && http_auth_hand_out(c, err) != 0)
        return -1;
    if (enter_pool(c, err) != 0)
        return -1;
    return route->handler(c, err);
}

/* A stream failed before a byte of it was sent. */
struct refusal {
    struct call call;
    enum error_form form;
    size_t headers_n; /* the number of headers of the reply before the handler ran */
};

static void
refuse_request(struct http_reply *reply, void *arg, const struct err *err)
{
    struct refusal *r = arg;

    reply->headers_n = r->headers_n;
    reply->length_known = false;
    reply_error(&r->call, r->form, err);
}

/* The sender of the stream makes the reply from here on. */
static void
allow_refusal(struct call *c, enum error_form form, size_t headers_n)
{
    struct refusal *r = arena_alloc(c->arena, sizeof *r);

    if (r == NULL)
        return;
    *r = (struct refusal){*c, form, headers_n};
    c->reply->refuse = refuse_request;
    c->reply->refuse_arg = r;
}

static const char *
address_for_limits(const struct http_request *req, struct arena *arena)
{
    char *network = arena_alloc(arena, NETWORK_TEXT_MAX);

    if (network == NULL)
        return req->remote_addr;
    network_of(network, req->remote_addr);
    return network;
}

void
dispatch(const struct route_table *routes, const struct registry *reg,
         const struct http_request *req, struct arena *arena, struct http_reply *reply)
{
    struct call c = {.routes = routes,
                     .reg = reg,
                     .req = req,
                     .reply = reply,
                     .arena = arena,
                     .actor = {.user = req->user, .address = address_for_limits(req, arena)}};
    enum error_form form = form_of(req->raw_path);
    struct err err = {.code = ERR_NONE};
    size_t headers_n;

    access_look(reg);
    if (reg->may_read != NULL)
        *reg->may_read = PULL_SHORT;
    *reply = (struct http_reply){.status = 500};
    if (form == ERROR_FORM_OCI)
        http_reply_header(reply, "Docker-Distribution-Api-Version", "registry/2.0");
    else
        http_reply_header(reply, "X-Docker-Registry-Version", PACKAGE_VERSION);
    headers_n = reply->headers_n;
    if (answer_call(&c, form, &err) != 0) {
        if (err.code != ERR_LONG || call_elsewhere(&c, &err) != 0)
            reply_error(&c, form, &err);
    } else if (reply->stream.produce != NULL) {
        allow_refusal(&c, form, headers_n);
    }
    /* For nginx's access log. */
    if (c.actor.user[0] != '\0')
        http_reply_header(reply, "X-Registry-User", c.actor.user);
}
