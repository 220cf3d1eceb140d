#include "domain/events/event_text.h"
#include "domain/events/hook.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/utf8.h"

void
event_text_id(char out[EVENT_TEXT_ID], const struct rec_event *e)
{
    char hex[DIGEST_TEXT_MAX];

    digest_hex(hex, &e->id);
    snprintf(out, EVENT_TEXT_ID, "%.12s", hex);
}

void
event_text_log(struct buf *out, const struct rec_event *e)
{
    char id[EVENT_TEXT_ID], digest[DIGEST_TEXT_MAX];
    struct hook_arguments a;

    event_text_id(id, e);
    digest_text(digest, &e->digest);
    hook_arguments_of(&a, hook_of_event(e->type), e);
    buf_putf(out, "%s - ", id);
    switch (e->type) {
    case EVENT_IMAGE:
        buf_puts(out, "added image data");
        break;
    case EVENT_LAYER:
        buf_putf(out, "added layer (%s)", digest);
        break;
    case EVENT_VERIFY:
        buf_puts(out, "verified using client checksum");
        break;
    case EVENT_INDEX:
        buf_puts(out, "indexed layer data");
        break;
    case EVENT_TAG:
        buf_putf(out, "tagged with %s", a.about);
        break;
    case EVENT_UNTAG:
        buf_putf(out, "untagged with %s", a.about);
        break;
    case EVENT_MANIFEST:
        buf_putf(out, "added manifest %s", a.about);
        break;
    case EVENT_DELETE:
        buf_putf(out, "deleted %s", a.about);
        break;
    case EVENT_DAMAGE:
        buf_putf(out, "is damaged (%s)", digest);
        break;
    }
    buf_putc(out, '\n');
}

/* A user name may be any bytes, but JSON must be UTF-8. */
static void
set_json_actor(struct json *object, const char *user)
{
    char text[RECORD_ACTOR_MAX + 1];

    snprintf(text, sizeof text, "%s", user);
    utf8_mend(text);
    json_set_string(object, "actor", text);
}

void
event_text_json(struct buf *out, uint32_t seq, const struct rec_event *e)
{
    char digest[DIGEST_TEXT_MAX], time[CLOCK_RFC3339_MAX];
    enum hook hook = hook_of_event(e->type);
    struct json *object = json_new_object();
    struct hook_arguments a;

    digest_text(digest, &e->digest);
    clock_rfc3339(time, e->time);
    hook_arguments_of(&a, hook, e);
    json_set_string(object, "type", event_text_type(e->type));
    json_set_string(object, "id", a.id);
    if (e->type == EVENT_LAYER)
        json_set_string(object, "checksum", digest);
    if (e->type == EVENT_TAG || e->type == EVENT_UNTAG)
        json_set_string(object, "tag", a.about);
    json_set_u64(object, "seq", seq);
    json_set_string(object, "time", time);
    json_set_string(object, "repository", e->repository);
    json_set_string(object, "digest", digest);
    set_json_actor(object, e->actor);
    json_put(object, out);
}

const char *
event_text_type(enum event_type type)
{
    return hook_name(hook_of_event(type));
}

unsigned
event_text_mask(const char *name)
{
    for (int type = EVENT_IMAGE; type <= EVENT_LAST; type++)
        if (type != EVENT_INDEX && strcmp(name, event_text_type((enum event_type)type)) == 0)
            return event_text_bit((enum event_type)type);
    return 0;
}
