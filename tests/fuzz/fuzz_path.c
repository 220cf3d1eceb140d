/* A line with the method, one with the path and query as the client sent them, and one with the
 * path that nginx made of it; without that one, it is the decoded path. */
#include "domain/name.h"
#include "fuzz.h"
#include "protocol/routes.h"
#include "util/buf.h"

/* The segments are those of nginx's path, as far as it doesn't lead into an image, and nothing in
 * one of them leads elsewhere. */
static void
check_path(const struct path *p, const char *nginx_path)
{
    struct buf joined;
    buf_init(&joined, 1u << 20);
    MUST(p->n >= 1 && p->n <= PATH_SEGMENTS_MAX);
    for (size_t i = 0; i < p->n; i++) {
        const char *s = p->segments[i];
        MUST(*s != '\0' || i == p->n - 1);
        MUST(strcmp(s, ".") != 0 && strcmp(s, "..") != 0);
        MUST(strpbrk(s, "/\\\n\r") == NULL);
        buf_putc(&joined, '/');
        buf_puts(&joined, s);
    }
    MUST(buf_ok(&joined) && strncmp(buf_text(&joined), nginx_path, joined.n) == 0);
    MUST(nginx_path[joined.n] == '\0' || (p->inside && nginx_path[joined.n] == '/'));
    buf_free(&joined);
}

static void
find(struct call *c, const struct path *p, struct err *err)
{
    unsigned allowed = 0;
    bool last_known = false;
    const struct route *r = route_find(c, p, &allowed, err);
    if (r == NULL) {
        MUST(err->code == ERR_NO_ROUTE || err->code == ERR_NO_METHOD || err->code == ERR_BAD_NAME);
        MUST((allowed != 0) == (err->code != ERR_NO_ROUTE));
        return;
    }
    MUST((r->methods & c->req->method) != 0 && (r->methods & allowed) == r->methods);
    MUST(c->name == NULL || name_is_repository(c->name));
    MUST((strstr(r->pattern, "{name}") != NULL) == (c->name != NULL));
    for (size_t i = 0; i < p->n; i++)
        last_known = last_known || c->last == p->segments[i];
    MUST(c->last == NULL || last_known);
}

static char *
decoded(const char *raw)
{
    char *path = fuzz_text(raw, strlen(raw));
    size_t n = path_unescape(path, strlen(path), 0);
    if (n != (size_t)-1)
        path[n] = '\0';
    return path;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena;
    struct err err = {0};
    struct path p;
    char *method = fuzz_line(&data, &n);
    char *target = fuzz_line(&data, &n);
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    char *nginx_path = n > 0 ? fuzz_line(&data, &n) : decoded(target);

    arena_init(&arena, 1u << 20);
    struct http_request request = {
        .method = http_method_parse(method), .method_text = method, .raw_path = target};
    struct call call = {.routes = &routes, .req = &request, .arena = &arena};
    if (path_parse(&p, target, nginx_path, &arena, &err) == 0) {
        check_path(&p, nginx_path);
        if (query_parse(&call.query, query != NULL ? query : "", &arena, &err) == 0)
            find(&call, &p, &err);
    } else {
        MUST(err.code == ERR_BAD_REQUEST || err.code == ERR_SYSTEM);
        MUST(err.message[0] != '\0');
    }
    arena_reset(&arena);
    free(method);
    free(target);
    free(nginx_path);
    return 0;
}
