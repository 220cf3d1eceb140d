#include "protocol/v2/v2_catalog.h"
#include "domain/access/sealed_name.h"
#include "domain/core/catalog.h"
#include "protocol/http/page.h"

/* The page begins behind `last`, or behind the name that only the server can read. */
#define HIDDEN_PARAMETER "behind"

static int
find_start(struct call *c, char hidden[RECORD_REPOSITORY_MAX + 1], const char **after,
           struct err *err)
{
    const char *sealed = query_get(&c->query, HIDDEN_PARAMETER);

    *after = query_get(&c->query, "last");
    if (*after == NULL)
        *after = "";
    if (sealed == NULL)
        return 0;
    if (!sealed_name_open(c->reg, sealed, hidden))
        return err_set(err, ERR_BAD_REQUEST,
                       HIDDEN_PARAMETER " isn't from a Link of this registry: begin without it");
    *after = hidden;
    return 0;
}

static int
add_link(struct call *c, const struct catalog_page *page, size_t limit, const char *last,
         struct err *err)
{
    char sealed[SEALED_NAME_TEXT];
    const char *more = "";

    if (page->hidden != NULL) {
        if (!sealed_name_make(c->reg, page->hidden, sealed))
            return err_set(err, ERR_SYSTEM, "the name of the next page can't be encrypted");
        more = arena_printf(c->arena, "&" HIDDEN_PARAMETER "=%s", sealed);
        if (more == NULL)
            return arena_full(err);
    }
    return page_link_more(c, "/v2/_catalog", limit, bytes_str(last), more, err);
}

/* Some clients (oras, regctl) send their password, or a token, only after a 401: without it a user
 * would see only what strangers may pull. A stranger's client gets a token for that. */
static bool
must_show_token(const struct call *c)
{
    return c->actor.user[0] == '\0' && c->actor.grants == NULL && access_users_exist(c->reg) &&
           !c->reg->users_trusted;
}

int
v2_catalog_list(struct call *c, struct err *err)
{
    char hidden[RECORD_REPOSITORY_MAX + 1];
    struct actor user = c->actor;
    struct catalog_page page;
    struct json *body, *names;
    const char *after;
    size_t limit;

    if (must_show_token(c))
        return err_set(err, ERR_UNAUTHORIZED, "a token, or user name and password needed");
    user.grants = NULL; /* a token for lists shows all that its user may pull */
    if (page_limit(c, &limit, err) != 0 || find_start(c, hidden, &after, err) != 0 ||
        catalog_list(c->reg, &user, after, limit, c->arena, &page, err) != 0)
        return -1;
    if (page.more && limit > 0 &&
        add_link(c, &page, limit, page.n > 0 ? page.names[page.n - 1] : "", err) != 0)
        return -1;
    body = json_new_object();
    names = json_new_array();
    for (size_t i = 0; i < page.n; i++)
        json_add_string(names, page.names[i]);
    json_set(body, "repositories", names);
    return call_json(c, 200, body, err);
}
