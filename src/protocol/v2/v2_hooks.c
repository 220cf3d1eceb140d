#include "protocol/v2/v2_hooks.h"
#include "domain/events/hook.h"
#include "domain/events/hook_last.h"
#include "protocol/v2/v2_numbers.h"
#include "util/utf8.h"

/* Is there something to run, and can it be run? */
static void
set_presence(const struct call *c, struct json *j, enum hook which)
{
    struct err err;
    int rc = hook_find(c->reg->hooks, which, &err);

    json_set_bool(j, "set", rc != 0);
    if (rc < 0) {
        utf8_mend(err.message);
        json_set_string(j, "problem", err.message);
    } else {
        json_set(j, "problem", NULL);
    }
}

static void
add_hook(const struct call *c, struct json *list, enum hook which)
{
    struct json *j = json_new_object(), *last;

    json_set_string(j, "name", hook_name(which));
    set_presence(c, j, which);
    json_set(j, "last", hook_last_read(c->reg->dirfd, which, &last) ? last : NULL);
    json_add(list, j);
}

int
v2_hooks(struct call *c, struct err *err)
{
    struct metrics_numbers *v;
    struct json *body, *list;

    if (v2_numbers(c, &v, err) != 0)
        return -1;
    list = json_new_array();
    for (int i = 0; i < HOOK_COUNT; i++)
        add_hook(c, list, (enum hook)i);
    body = json_new_object();
    json_set(body, "hooks", list);
    if (v->known[METRIC_HOOKS_WAITING])
        json_set_u64(body, "waiting", v->v[METRIC_HOOKS_WAITING][0]);
    else
        json_set(body, "waiting", NULL);
    http_reply_header(c->reply, "Cache-Control", "no-store");
    return call_json(c, 200, body, err);
}
