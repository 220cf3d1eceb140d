#include "protocol/v1/v1_events.h"
#include <strings.h>
#include "domain/events/event_text.h"
#include "domain/events/outbox.h"
#include "util/digest.h"
#include "util/hex.h"
#include "util/parse.h"

static bool
wants_event_stream(const struct call *c)
{
    const char *accept = c->req->header(c->req, "HTTP_ACCEPT");

    return accept != NULL && strcasestr(accept, "text/event-stream") != NULL;
}

/* Leaves *types as it is if there is no ?type=. */
static int
find_types(const struct call *c, unsigned *types, struct err *err)
{
    unsigned wanted = 0;

    for (size_t i = 0; i < c->query.n; i++) {
        unsigned type;

        if (strcmp(c->query.parameters[i].name, "type") != 0)
            continue;
        type = event_text_mask(c->query.parameters[i].value);
        if (type == 0)
            return err_set(err, ERR_BAD_REQUEST, "type must be one of " EVENT_TEXT_TYPES);
        wanted |= type;
    }
    if (wanted != 0)
        *types = wanted;
    return 0;
}

/* A browser that reconnects uses the same address as before, and a header says how far it got.
 * *text: NULL when only new events are wanted. */
static int
find_since(const struct call *c, const char **text, uint64_t *since, struct err *err)
{
    *text = c->req->header(c->req, "HTTP_LAST_EVENT_ID");
    if (*text == NULL || **text == '\0')
        *text = query_get(&c->query, "since");
    if (*text != NULL && !parse_u64(*text, strlen(*text), since))
        return err_set(err, ERR_BAD_REQUEST,
                       "since or Last-Event-ID must be the number of an event");
    return 0;
}

static int
tell_gone(struct call *c, uint32_t oldest, struct err *err)
{
    struct json *body = json_new_object();

    json_set_string(body, "error",
                    "the events after that one are deleted, or there is no such event");
    json_set_u64(body, "oldest", oldest);
    return call_json(c, 410, body, err);
}

/* A name of the user or the address for the herald, which bounds the listeners of each. */
static void
name_listener(const struct call *c, char out[DIGEST_TEXT_MAX])
{
    struct digest_state *hash = digest_begin(DIGEST_SHA256);
    bool anonymous = c->actor.user[0] == '\0';
    const char *name = anonymous ? c->actor.address : c->actor.user;
    struct digest d;

    digest_update(hash, anonymous ? "a" : "u", 1);
    digest_update(hash, name, strlen(name));
    digest_end(hash, &d);
    digest_hex(out, &d);
    out[32] = '\0';
}

int
v1_events(struct call *c, struct err *err)
{
    const char *text, *internal = c->req->header(c->req, "REGISTRY_INTERNAL");
    char position[24] = "new", listener[DIGEST_TEXT_MAX], user[2 * RECORD_ACTOR_MAX + 1];
    uint64_t since;
    uint32_t oldest;
    unsigned types = EVENT_TEXT_ALL;
    int rc = 1;

    if (internal == NULL)
        return err_set(err, ERR_SYSTEM, "the web server in front has no REGISTRY_INTERNAL");
    if (find_types(c, &types, err) != 0 || find_since(c, &text, &since, err) != 0)
        return -1;
    if (text != NULL) {
        rc = outbox_goes_on(c->reg, since, &oldest, err);
        snprintf(position, sizeof position, "%llu", (unsigned long long)since);
    }
    if (rc != 1)
        return rc == 0 ? tell_gone(c, oldest, err) : -1;
    name_listener(c, listener);
    hex_encode(user, c->actor.user, strlen(c->actor.user));
    c->reply->status = 200;
    return call_header(c, err, "X-Accel-Redirect", "%s/events/%s/%u/%s/%s/%s", internal,
                       wants_event_stream(c) ? "sse" : "ndjson", types, position, listener,
                       user[0] != '\0' ? user : "-");
}
