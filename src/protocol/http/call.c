#include "protocol/http/call.h"
#include "domain/core/blob_link.h"
#include <stdarg.h>
#include "util/arena.h"

int
call_text(struct call *c, const char **out, struct err *err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    *out = arena_vprintf(c->arena, fmt, ap);
    va_end(ap);
    return *out != NULL ? 0 : arena_full(err);
}

int
call_header(struct call *c, struct err *err, const char *name, const char *fmt, ...)
{
    const char *value;
    va_list ap;

    va_start(ap, fmt);
    value = arena_vprintf(c->arena, fmt, ap);
    va_end(ap);
    if (value == NULL)
        return arena_full(err);
    http_reply_header(c->reply, name, value);
    return 0;
}

const char *
call_base(const struct call *c)
{
    return c->reg != NULL && c->reg->base_url != NULL ? c->reg->base_url : "";
}

bool
call_is_unchanged(const struct call *c, const char *etag)
{
    const char *tags = c->req->header(c->req, "HTTP_IF_NONE_MATCH");
    size_t n = strlen(etag);

    if (tags == NULL)
        return false;
    /* RFC 9110 wants quotes, some clients leave them out. */
    if (strcmp(tags, "*") == 0 || strcmp(tags, etag) == 0)
        return true;
    for (const char *p = tags; (p = strstr(p, etag)) != NULL; p += n)
        if (p > tags && p[-1] == '"' && p[n] == '"')
            return true;
    return false;
}

/* Entity tags that are no digests match nothing, so they are left out. A weak one matches only in
 * If-None-Match. */
static int
read_entity_tags(const struct call *c, const char *header, bool weak, struct condition_tags *out,
                 struct err *err)
{
    const char *at = c->req->header(c->req, header);
    struct digest *v;
    struct err ignored;

    *out = (struct condition_tags){.given = at != NULL};
    if (at == NULL)
        return 0;
    v = arena_array(c->arena, strlen(at) / 2 + 1, sizeof *v);
    if (v == NULL)
        return arena_full(err);
    out->v = v;
    while (*(at += strspn(at, " \t,")) != '\0') {
        bool is_weak = strncmp(at, "W/", 2) == 0;
        bool quoted = (at += is_weak ? 2 : 0)[0] == '"';
        size_t n = strcspn(at += quoted, quoted ? "\"" : ", \t");

        out->any = out->any || (!quoted && !is_weak && n == 1 && *at == '*');
        if ((weak || !is_weak) && digest_parse(&v[out->n], at, n, &ignored) == 0)
            out->n++;
        at += n + (quoted && at[n] != '\0');
    }
    return 0;
}

int
call_condition(const struct call *c, struct condition *out, struct err *err)
{
    if (read_entity_tags(c, "HTTP_IF_MATCH", false, &out->match, err) != 0)
        return -1;
    return read_entity_tags(c, "HTTP_IF_NONE_MATCH", true, &out->none_match, err);
}

int
call_empty(struct call *c, int status)
{
    c->reply->status = status;
    c->reply->body = bytes_of("", 0);
    return 0;
}

int
call_body(struct call *c, int status, const char *content_type, struct bytes body)
{
    c->reply->status = status;
    c->reply->body = body;
    http_reply_header(c->reply, "Content-Type", content_type);
    return 0;
}

int
call_elsewhere(struct call *c, struct err *err)
{
    const char *internal = c->req->header(c->req, "REGISTRY_LONG");

    if (internal == NULL)
        return err_set(err, ERR_SYSTEM, "the web server in front has no REGISTRY_LONG");
    /* The other worker sets the same headers, and nginx would send some of them twice. */
    *c->reply = (struct http_reply){.status = 200, .goes_on = true};
    http_reply_header(c->reply, "X-Accel-Redirect", internal);
    return 0;
}

int
call_copy(struct call *c, int status, const char *content_type, struct bytes body, struct err *err)
{
    const char *copy = arena_copy(c->arena, body.p, body.n);

    return copy == NULL ? arena_full(err)
                        : call_body(c, status, content_type, bytes_of(copy, body.n));
}

int
call_json(struct call *c, int status, struct json *body, struct err *err)
{
    return call_json_as(c, status, "application/json", body, err);
}

int
call_json_as(struct call *c, int status, const char *content_type, struct json *body,
             struct err *err)
{
    size_t n;
    const char *text = json_text(body, &n);
    int rc = call_copy(c, status, content_type, bytes_of(text, n), err);

    json_free(body);
    return rc;
}

int
call_stream(struct call *c, int status, const char *content_type, const struct http_stream *stream)
{
    c->reply->status = status;
    c->reply->stream = *stream;
    http_reply_header(c->reply, "Content-Type", content_type);
    return 0;
}

int
call_stream_of(struct call *c, int status, const char *content_type, uint64_t length,
               const struct http_stream *stream)
{
    c->reply->length_known = true;
    c->reply->length = length;
    return call_stream(c, status, content_type, stream);
}

int
call_file(struct call *c, const char *path, uint64_t size, enum call_file_mode mode,
          const char *cache_control, struct err *err)
{
    /* The prefix of locations that only nginx itself may enter. It differs between two registries
     * in one nginx. */
    const char *internal = c->req->header(c->req, "REGISTRY_INTERNAL");
    char link[BLOB_LINK_MAX];

    if (internal == NULL)
        return err_set(err, ERR_SYSTEM, "the web server in front has no REGISTRY_INTERNAL");
    if (blob_link(c->reg, path, link, err) != 0)
        return -1;
    c->reply->status = 200;
    c->reply->file_bytes = c->req->method == HTTP_HEAD ? 0 : size;
    http_reply_header(c->reply, "X-Cache-Control", cache_control);
    if (*link != '\0' && call_header(c, err, "X-Blob-Bytes", "%llu", (unsigned long long)size) != 0)
        return -1;
    return call_header(c, err, "X-Accel-Redirect", "%s/v2/%s/%s%s", internal,
                       mode == FILE_RANGES ? "blob" : "whole", path, link);
}
