#include "protocol/v2/v2_tags.h"
#include "domain/core/tag.h"
#include "protocol/http/page.h"

int
v2_tags_list(struct call *c, struct err *err)
{
    const char *after = query_get(&c->query, "last"), *path;
    struct json *body, *tags;
    struct tag_page page;
    size_t limit;

    if (page_limit(c, &limit, err) != 0 ||
        tag_list(c->reg, c->name, after != NULL ? after : "", limit, c->arena, &page, err) != 0)
        return -1;
    if (page.more && page.n > 0 &&
        (call_text(c, &path, err, "/v2/%s/tags/list", c->name) != 0 ||
         page_link(c, path, limit, page.names[page.n - 1], err) != 0))
        return -1;
    body = json_new_object();
    tags = json_new_array();
    for (size_t i = 0; i < page.n; i++)
        json_add_string(tags, page.names[i]);
    json_set_string(body, "name", c->name);
    json_set(body, "tags", tags);
    return call_json(c, 200, body, err);
}
