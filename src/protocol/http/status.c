#include "protocol/http/status.h"
#include "domain/core/blob_link.h"
#include "domain/metrics/metrics_ask.h"
#include "domain/metrics/metrics_text.h"
#include "protocol/http/route.h"
#include "util/arena.h"
#include "util/network.h"

static const char *const this_machine[] = {"127.0.0.0/8", "::1"};

static bool
is_permitted(const struct call *c, const char *address)
{
    size_t n = c->reg->metrics_from_n;
    const char *const *v = c->reg->metrics_from;

    if (n == 0) {
        v = this_machine;
        n = sizeof this_machine / sizeof *this_machine;
    }
    for (size_t i = 0; i < n; i++)
        if (network_has(v[i], address))
            return true;
    return false;
}

/* Behind a proxy the address may be the proxy's. So all addresses that the proxies have noted must
 * be permitted as well: whoever invents some only shuts himself out. */
static bool
may_read_metrics(const struct call *c)
{
    const char *p = c->req->header(c->req, "HTTP_X_FORWARDED_FOR");
    char address[64];

    if (!is_permitted(c, c->req->remote_addr))
        return false;
    if (c->req->header(c->req, "HTTP_FORWARDED") != NULL)
        return false; /* has ports and names, which nothing here reads */
    for (; p != NULL && *p != '\0'; p += strcspn(p, ","), p += *p == ',') {
        p += strspn(p, " ");
        snprintf(address, sizeof address, "%.*s", (int)strcspn(p, ", "), p);
        if (!is_permitted(c, address))
            return false;
    }
    return true;
}

/* ---- metrics ---- */

static const char *
pattern_of_route(const void *table, unsigned i)
{
    return ((const struct route_table *)table)->rows[i].pattern;
}

static unsigned
methods_of_route(const void *table, unsigned i)
{
    return ((const struct route_table *)table)->rows[i].methods;
}

int
status_metrics(struct call *c, struct err *err)
{
    const struct metrics_routes routes = {.table = c->routes,
                                          .n = (unsigned)c->routes->n,
                                          .pattern = pattern_of_route,
                                          .methods = methods_of_route};
    struct metrics_numbers *v;
    struct buf text;
    int rc;

    if (!may_read_metrics(c))
        return err_set(err, ERR_DENIED, "/metrics is not for this address (--metrics-from)");
    v = arena_alloc(c->arena, sizeof *v);
    if (v == NULL)
        return arena_full(err);
    metrics_read(c->reg->metrics, v);
    metrics_ask(c->reg->metrics, c->reg->dirfd, v);
    buf_init(&text, METRICS_TEXT_MAX);
    metrics_text(v, &routes, &text);
    http_reply_header(c->reply, "Cache-Control", "no-store");
    rc = buf_ok(&text) ? call_copy(c, 200, METRICS_TEXT_TYPE, buf_bytes(&text), err)
                       : err_set(err, ERR_SYSTEM, "there are too many metrics");
    buf_free(&text);
    return rc;
}

/* ---- readiness ---- */

int
status_ready(struct call *c, struct err *err)
{
    struct readiness *r = metrics_readiness(c->reg->metrics);
    struct json *body = json_new_object(), *parts = json_new_object();
    char why[READINESS_WHY_MAX];
    bool ready = true, all = may_read_metrics(c);

    for (int i = 0; i < READINESS_PARTS; i++) {
        bool well;

        if (i == READINESS_BLOBS && !blob_link_is_used(c->reg))
            continue;
        well = readiness_is_well(r, (enum readiness_part)i, c->reg->dirfd, why);
        ready = ready && well;
        json_set_string(parts, readiness_name((enum readiness_part)i), well ? "ok" : why);
    }
    json_set_string(body, "status", ready ? "ready" : "not ready");
    if (all)
        json_set(body, "parts", parts);
    else
        json_free(parts);
    http_reply_header(c->reply, "Cache-Control", "no-store");
    if (!ready)
        http_reply_header(c->reply, "Retry-After", "1");
    return call_json(c, ready ? 200 : 503, body, err);
}
