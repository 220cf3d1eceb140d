#include "protocol/v1/v1_base.h"
#include "util/arena.h"

int
v1_base_ping(struct call *c, struct err *err)
{
    (void)err;
    http_reply_header(c->reply, "X-Docker-Registry-Standalone", "true");
    return call_body(c, 200, "application/json", bytes_str("true"));
}

int
v1_base_done(struct call *c)
{
    return call_body(c, 200, "application/json", bytes_str("\"\""));
}

int
v1_base_body(struct call *c, int max_depth, struct json **body, struct err *err)
{
    char why[ERR_MESSAGE_MAX];

    if (json_parse(c->req->body, max_depth, body, err) == 0)
        return 0;
    if (err->code != ERR_BAD_REQUEST)
        return -1;
    snprintf(why, sizeof why, "%s", err->message);
    return err_set(err, ERR_BAD_REQUEST, "could not parse json: %s", why);
}

int
v1_base_platform(struct call *c, const struct platform **platform, struct err *err)
{
    const char *text = query_get(&c->query, "platform");
    struct platform *p;

    *platform = NULL;
    if (text == NULL)
        return 0;
    p = arena_alloc(c->arena, sizeof *p);
    if (p == NULL)
        return arena_full(err);
    *platform = p;
    return platform_parse(p, text, err);
}
