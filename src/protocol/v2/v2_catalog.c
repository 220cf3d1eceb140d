#include "protocol/v2/v2_catalog.h"
#include "domain/core/catalog.h"
#include "protocol/http/page.h"

int
v2_catalog_list(struct call *c, struct err *err)
{
    const char *after = query_get(&c->query, "last");
    struct actor user = c->actor;
    struct catalog_page page;
    struct json *body, *names;
    size_t limit;

    user.grants = NULL; /* a token for lists shows all that its user may pull */
    if (page_limit(c, &limit, err) != 0 ||
        catalog_list(c->reg, &user, after != NULL ? after : "", limit, c->arena, &page, err) != 0)
        return -1;
    if (page.more && page.n > 0 &&
        page_link(c, "/v2/_catalog", limit, page.names[page.n - 1], err) != 0)
        return -1;
    body = json_new_object();
    names = json_new_array();
    for (size_t i = 0; i < page.n; i++)
        json_add_string(names, page.names[i]);
    json_set(body, "repositories", names);
    return call_json(c, 200, body, err);
}
