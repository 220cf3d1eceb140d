/* Requests as they are sent, and replies as they come. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "load.h"

void
request_begin(struct client *c, const char *method, const char *path, size_t path_len)
{
    c->out.len = c->sent = 0;
    c->head = strcmp(method, "HEAD") == 0;
    c->busy = true;
    text_addf(&c->out, "%s ", method);
    text_add(&c->out, path, path_len);
    text_addf(&c->out, " HTTP/1.1\r\nHost: %s:%d\r\n%s", opt.host, opt.port,
              opt.headers == NULL ? "" : opt.headers);
}

void
request_body(struct client *c, const char *type, const void *bytes, size_t n, bool chunked)
{
    if (type != NULL)
        text_addf(&c->out, "Content-Type: %s\r\n", type);
    if (!chunked) {
        text_addf(&c->out, "Content-Length: %zu\r\n\r\n", n);
        text_add(&c->out, bytes, n);
        return;
    }
    text_addf(&c->out, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", n);
    text_add(&c->out, bytes, n);
    text_addf(&c->out, "\r\n0\r\n\r\n");
}

/* Undoes the chunks, in place; false: more is to come. */
static bool
chunks_join(char *at, char *end, struct reply *reply)
{
    char *to = at, *rest;
    size_t n;

    reply->body = at;
    for (char *from = at;;) {
        rest = memmem(from, (size_t)(end - from), "\r\n", 2);
        if (rest == NULL)
            return false;
        n = strtoul(from, NULL, 16);
        from = rest + 2;
        if ((size_t)(end - from) < n + 2)
            return false;
        from += n + 2;
        if (n == 0) {
            reply->used = (size_t)(from - at);
            break;
        }
    }
    for (char *from = at; (n = strtoul(from, NULL, 16)) > 0;) {
        from = (char *)memmem(from, (size_t)(end - from), "\r\n", 2) + 2;
        memmove(to, from, n);
        to += n;
        from += n + 2;
    }
    reply->body_len = (size_t)(to - at);
    return true;
}

/* The whole reply at the beginning of what came; false: more is to come. */
bool
reply_read(struct client *c, struct reply *reply)
{
    char *at = c->in.at, *end = memmem(at, c->in.len, "\r\n\r\n", 4), *line, *next;
    bool chunked = false;
    long length = -1;

    *reply = (struct reply){0};
    if (end == NULL)
        return false;
    if (c->in.len < 12 || memcmp(at, "HTTP/1.1 ", 9) != 0)
        fail("no HTTP: %.40s", at);
    reply->status = atoi(at + 9);
    for (line = memmem(at, c->in.len, "\r\n", 2); line < end; line = next) {
        line += 2;
        next = memmem(line, c->in.len - (size_t)(line - at), "\r\n", 2);
        switch (tolower(line[0])) {
        case 'c':
            if (strncasecmp(line, "content-length:", 15) == 0)
                length = atol(line + 15);
            else if (strncasecmp(line, "connection: close", 17) == 0)
                reply->closes = true;
            break;
        case 't':
            chunked |= strncasecmp(line, "transfer-encoding: chunked", 26) == 0;
            break;
        case 'l':
            if (strncasecmp(line, "location: ", 10) == 0) {
                reply->location = line + 10;
                reply->location_len = (size_t)(next - reply->location);
            }
            break;
        }
    }
    end += 4;
    reply->body = end;
    if (c->head || reply->status == 204 || reply->status == 304)
        length = 0;
    else if (chunked) {
        if (!chunks_join(end, at + c->in.len, reply))
            return false;
        reply->used += (size_t)(end - at);
        return true;
    }
    if (length < 0)
        fail("a reply without a length");
    reply->body_len = (size_t)length;
    reply->used = (size_t)(end - at) + (size_t)length;
    return c->in.len >= reply->used;
}

void
reply_expect(const struct client *c, const struct reply *reply, int status)
{
    int n = (int)(c->out.len < 200 ? c->out.len : 200);

    if (reply->status != status)
        fail("%d instead of %d: %.*s\n%.*s", reply->status, status, n, c->out.at,
             (int)(reply->body_len < 500 ? reply->body_len : 500), reply->body);
}
