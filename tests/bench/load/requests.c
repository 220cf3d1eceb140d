/* One request again and again. */
#include <stdio.h>
#include <string.h>
#include "load.h"

bool
requests_begin(struct client *c)
{
    char line[2048];
    const char *path = opt.path;

    if (opt.path_list != NULL)
        path = opt.path_list[c->unit];
    else if (strchr(path, '%') != NULL) {
        const char *mark = strchr(path, '%');

        snprintf(line, sizeof(line), "%.*s%07ld%s", (int)(mark - path), path, c->unit, mark + 2);
        path = line;
    }
    request_begin(c, opt.method, path, strlen(path));
    if (opt.body.len > 0)
        request_body(c, NULL, opt.body.at, opt.body.len, false);
    else
        text_addf(&c->out, "\r\n");
    return true;
}

bool
requests_got(struct client *c, const struct reply *reply)
{
    reply_expect(c, reply, opt.status);
    if (opt.has_wanted && !c->head &&
        (reply->body_len != opt.wanted.len ||
         memcmp(reply->body, opt.wanted.at, opt.wanted.len) != 0))
        fail("another body: %zu bytes", reply->body_len);
    return false;
}
