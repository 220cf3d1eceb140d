#include "protocol/http/route.h"
#include <stdbool.h>
#include "domain/name.h"
#include "util/arena.h"
#include "util/buf.h"

#define NAME "{name}"

/* A pattern, taken apart: segments before {name}, whether there is one, segments behind it. */
struct pattern {
    const char *segments[8];
    size_t lengths[8];
    size_t n;
    size_t name_at;        /* n if there is no {name} */
    const char *parameter; /* "" when none is needed */
    bool inside;           /* a path inside of an image follows */
};

static void
split(const char *text, struct pattern *p)
{
    size_t end = strcspn(text, "?");

    p->n = 0;
    p->inside = false;
    p->parameter = text[end] == '?' ? text + end + 1 : "";
    for (size_t at = 1; p->n < 8;) {
        size_t length = strcspn(text + at, "/?");

        if (strncmp(text + at, "...", 3) == 0) {
            p->inside = true;
            break;
        }
        p->segments[p->n] = text + at;
        p->lengths[p->n++] = length;
        at += length;
        if (at >= end)
            break;
        at++;
    }
    p->name_at = p->n;
    for (size_t i = 0; i < p->n; i++)
        if (p->lengths[i] == strlen(NAME) && strncmp(p->segments[i], NAME, p->lengths[i]) == 0)
            p->name_at = i;
}

/* The variables of a pattern: "{digest}...", and the segments of the path that they stand for. */
struct variable {
    const char *name;
    const char *value;
};
struct variables {
    struct variable first, last;
};

/* Does one segment fit? A variable fits any segment that isn't empty, and is remembered. */
static bool
fits(const struct pattern *p, size_t i, const char *segment, struct variables *v)
{
    if (p->lengths[i] > 0 && p->segments[i][0] == '{') {
        v->last = (struct variable){p->segments[i], segment};
        if (v->first.name == NULL)
            v->first = v->last;
        return segment[0] != '\0';
    }
    return strlen(segment) == p->lengths[i] && strncmp(p->segments[i], segment, p->lengths[i]) == 0;
}

/* {name} takes the segments that the fixed ones round it leave over, at least one. */
static bool
match(const struct pattern *p, const struct path *path, size_t *name_n, struct variables *v)
{
    bool has_name = p->name_at < p->n;
    size_t behind = has_name ? p->n - p->name_at - 1 : 0;

    *v = (struct variables){{NULL, NULL}, {NULL, NULL}};
    if (p->inside != path->inside)
        return false;
    if (has_name ? path->n < p->n : path->n != p->n)
        return false;
    *name_n = has_name ? path->n - p->name_at - behind : 0;
    for (size_t i = 0; i < p->name_at; i++)
        if (!fits(p, i, path->segments[i], v))
            return false;
    for (size_t i = 0; i < behind; i++)
        if (!fits(p, p->n - behind + i, path->segments[path->n - behind + i], v))
            return false;
    return true;
}

static int
join_name(struct call *c, const struct path *path, size_t from, size_t n, struct err *err)
{
    struct buf name;
    int rc = 0;

    buf_init(&name, 8192);
    for (size_t i = from; i < from + n; i++) {
        if (i > from)
            buf_putc(&name, '/');
        buf_puts(&name, path->segments[i]);
    }
    if (!buf_ok(&name) || !name_is_repository(buf_text(&name))) {
        err_set(err, ERR_BAD_NAME, "%s is not a valid repository name",
                buf_ok(&name) ? buf_text(&name) : "this");
        rc = err_found(err, "%s", buf_ok(&name) ? buf_text(&name) : "a longer one");
    } else if ((c->name = arena_strdup(c->arena, buf_text(&name))) == NULL)
        rc = arena_full(err);
    buf_free(&name);
    return rc;
}

/* Clients of the first API may or may not end a path with a slash. */
static struct path
without_slash(const struct path *path)
{
    struct path p = *path;

    if (p.n > 1 && strcmp(p.segments[0], "v1") == 0 && p.segments[p.n - 1][0] == '\0')
        p.n--;
    return p;
}

/* A name can't end with a word that paths of the first API have behind a name. */
static int
check_v1_name(const struct call *c, struct err *err)
{
    static const char *const words[] = {"tags", "images", "auth", "json", "properties"};
    const char *slash = strrchr(c->name, '/'), *last = slash != NULL ? slash + 1 : c->name;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(last, words[i]) == 0)
            return err_set(err, ERR_BAD_NAME, "a repository can't be called %s in this API",
                           c->name);
    return 0;
}

const struct route *
route_find(struct call *c, const struct path *asked, unsigned *allowed, struct err *err)
{
    const struct path path = without_slash(asked);

    *allowed = 0;
    for (size_t i = 0; i < c->routes->n; i++) {
        const struct route *r = &c->routes->rows[i];
        struct pattern p;
        struct variables v;
        size_t name_n;

        split(r->pattern, &p);
        if (!match(&p, &path, &name_n, &v))
            continue;
        *allowed |= r->methods;
        if ((r->methods & c->req->method) == 0 ||
            (p.parameter[0] != '\0' && query_get(&c->query, p.parameter) == NULL))
            continue;
        c->first = v.first.value;
        c->last = v.last.value;
        c->last_name = v.last.name;
        c->rest = path.rest;
        if (name_n > 0 && join_name(c, &path, p.name_at, name_n, err) != 0)
            return NULL;
        if (name_n > 0 && strcmp(path.segments[0], "v1") == 0 && check_v1_name(c, err) != 0)
            return NULL;
        return r;
    }
    if (*allowed != 0) {
        err_set(err, ERR_NO_METHOD, "%s isn't supported here", c->req->method_text);
        err_found(err, "%s", c->req->method_text);
    } else {
        err_set(err, ERR_NO_ROUTE, "nothing is served at %s", c->req->raw_path);
    }
    return NULL;
}
