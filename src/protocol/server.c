#include "protocol/server.h"

#include "domain/store.h"
#include "util/banned.h"

int
server_root(struct call *c, struct err *err)
{
    struct json *body = json_new_object();

    json_set_string(body, "name", "docker-registry-server");
    json_set_string(body, "version", PACKAGE_VERSION);
    return call_json(c, 200, body, err);
}

int
server_health(struct call *c, struct err *err)
{
    if (store_check(c->reg, err) != 0) {
        err->code = ERR_BUSY;
        return -1;
    }
    c->reply->status = 200;
    c->reply->body = bytes_str("ok");
    http_reply_header(c->reply, "Content-Type", "text/plain");
    http_reply_header(c->reply, "Cache-Control", "no-store");
    return 0;
}
