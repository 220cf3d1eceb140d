#include "protocol/dispatch.h"

#include <string.h>

#include "domain/upload.h"
#include "protocol/reply_error.h"
#include "protocol/route.h"
#include "util/banned.h"

/* Which API was asked, by the raw path, so that even an unreadable request gets its own form. */
static enum error_form
form_of(const char *raw_path)
{
    return strncmp(raw_path, "/v2", 3) == 0 && (raw_path[3] == '/' || raw_path[3] == '\0')
               ? ERROR_FORM_OCI
               : ERROR_FORM_V1;
}

/* The methods of a path, for Allow. */
static void
add_allow(struct call *c, unsigned methods)
{
    static const struct {
        enum http_method method;
        const char *text;
    } all[] = {
        {HTTP_GET, "GET"},   {HTTP_HEAD, "HEAD"},   {HTTP_PUT, "PUT"},
        {HTTP_POST, "POST"}, {HTTP_PATCH, "PATCH"}, {HTTP_DELETE, "DELETE"},
    };
    char text[64] = "OPTIONS";
    size_t n = strlen(text);
    struct err ignored;

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if ((methods & all[i].method) != 0 && n + strlen(all[i].text) + 3 < sizeof text) {
            memcpy(text + n, ", ", 2);
            memcpy(text + n + 2, all[i].text, strlen(all[i].text) + 1);
            n += 2 + strlen(all[i].text);
        }
    call_header(c, &ignored, "Allow", "%s", text);
}

static const struct route *
find_route(struct call *c, struct err *err)
{
    const struct http_request *req = c->req;
    const struct route *route;
    struct path path;
    unsigned allowed;

    if (path_parse(&path, req->raw_path, req->path, c->arena, err) != 0 ||
        query_parse(&c->query, req->query, c->arena, err) != 0)
        return NULL;
    route = route_find(c, &path, &allowed, err);
    if (route == NULL && err->code == ERR_NO_METHOD)
        add_allow(c, allowed);
    return route;
}

/* Nobody without a password learns what the APIs have and what they don't. */
static int
refuse_stranger(struct call *c, struct err *err)
{
    const char *path = c->req->raw_path;
    struct err refused;

    if ((strncmp(path, "/v1", 3) == 0 || strncmp(path, "/v2", 3) == 0) &&
        access_check(c->reg, &c->actor, NULL, VERB_LOGIN, &refused) != 0)
        *err = refused;
    return -1;
}

/* From the request to the handler, in the one order that every role shares. */
static int
answer(struct call *c, struct err *err)
{
    const struct http_request *req = c->req;
    const struct route *route = find_route(c, err);

    if (route == NULL && err->code == ERR_NO_METHOD && req->method == HTTP_OPTIONS)
        return call_empty(c, 204);
    if (route == NULL)
        return refuse_stranger(c, err);
    if (access_check(c->reg, &c->actor, c->name, route->verb, err) != 0)
        return -1;
    if (req->role == ROLE_AUTH) {
        if ((req->method & (HTTP_POST | HTTP_PATCH | HTTP_PUT)) != 0 &&
            upload_room(c->reg, req->has_length ? req->content_length : 0, err) != 0)
            return -1;
        return call_empty(c, 204);
    }
    return route->handler(c, err);
}

void
dispatch(const struct registry *reg, const struct http_request *req, struct arena *arena,
         struct http_reply *reply)
{
    struct call c = {.reg = reg,
                     .req = req,
                     .reply = reply,
                     .arena = arena,
                     .actor = {.user = req->user, .address = req->remote_addr}};
    enum error_form form = form_of(req->raw_path);
    struct err err = {.code = ERR_NONE};

    *reply = (struct http_reply){.status = 500};
    if (form == ERROR_FORM_OCI)
        http_reply_header(reply, "Docker-Distribution-Api-Version", "registry/2.0");
    else
        http_reply_header(reply, "X-Docker-Registry-Version", PACKAGE_VERSION);
    if (answer(&c, &err) != 0)
        reply_error(&c, form, &err);
}
