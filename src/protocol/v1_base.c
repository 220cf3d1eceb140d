#include "protocol/v1_base.h"

#include "util/banned.h"

int
v1_ping(struct call *c, struct err *err)
{
    (void)err;
    c->reply->status = 200;
    c->reply->body = bytes_str("true");
    http_reply_header(c->reply, "Content-Type", "application/json");
    http_reply_header(c->reply, "X-Docker-Registry-Standalone", "true");
    return 0;
}
