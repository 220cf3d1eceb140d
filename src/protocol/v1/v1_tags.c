#include "protocol/v1/v1_tags.h"
#include "domain/core/delete.h"
#include "domain/core/repository.h"
#include "domain/retention/last_pull.h"
#include "domain/v1/image_list.h"
#include "domain/v1/image_tag.h"
#include "domain/name.h"
#include "protocol/v1/v1_base.h"

static int
check_tag(struct call *c, struct err *err)
{
    if (name_is_tag(c->last))
        return 0;
    return err_set(err, ERR_BAD_TAG, "%s is not a valid tag", c->last);
}

static int
add_tag(const char *tag, const struct digest *id, void *arg, struct err *err)
{
    char hex[DIGEST_TEXT_MAX];

    (void)err;
    digest_hex(hex, id);
    json_set_string(arg, tag, hex);
    return 0;
}

int
v1_tags_list(struct call *c, struct err *err)
{
    const struct platform *platform;
    struct json *body;

    if (v1_base_platform(c, &platform, err) != 0)
        return -1;
    body = json_new_object();
    if (image_list_tags(c->reg, c->name, platform, add_tag, body, err) != 0) {
        json_free(body);
        return -1;
    }
    return call_json(c, 200, body, err);
}

/* Clients that want one tag ask for it alone. A list of tags is no pull, and the requests for
 * images that follow name no repository. */
static int
note_tag_pulled(const struct call *c, struct err *err)
{
    struct rec_repo repo;
    int rc = c->req->method == HTTP_HEAD ? 0 : repository_find(c->reg, c->name, &repo, err);

    if (rc == 1)
        last_pull_note(c->reg, repo.id, c->last);
    return rc < 0 ? -1 : 0;
}

int
v1_tags_get(struct call *c, struct err *err)
{
    char hex[DIGEST_TEXT_MAX];
    const struct platform *platform;
    const char *text;
    struct digest id;

    if (v1_base_platform(c, &platform, err) != 0 ||
        image_list_find(c->reg, c->name, c->last, platform, &id, err) != 0 ||
        note_tag_pulled(c, err) != 0)
        return -1;
    digest_hex(hex, &id);
    if (call_text(c, &text, err, "\"%s\"", hex) != 0)
        return -1;
    return call_body(c, 200, "application/json", bytes_str(text));
}

int
v1_tags_put(struct call *c, struct err *err)
{
    struct condition condition;
    struct json *body;
    const char *text;
    struct digest id;
    int rc;

    if (check_tag(c, err) != 0 || call_condition(c, &condition, err) != 0 ||
        v1_base_body(c, 1, &body, err) != 0)
        return -1;
    text = json_string(body);
    if (text == NULL)
        rc = err_set(err, ERR_BAD_REQUEST, "Invalid data: the id of an image, as a JSON string");
    else
        rc = digest_parse_v1_id(&id, text, strlen(text), err);
    json_free(body);
    if (rc != 0 ||
        image_tag_put(c->reg, c->name, c->last, &id, &condition, &c->actor, c->arena, err) != 0)
        return -1;
    return v1_base_done(c);
}

int
v1_tags_delete(struct call *c, struct err *err)
{
    struct condition condition;

    if (call_condition(c, &condition, err) != 0 ||
        delete_tag(c->reg, c->name, c->last, &condition, &c->actor, c->arena, err) != 0)
        return -1;
    return v1_base_done(c);
}
