#include "protocol/v2/v2_me.h"
#include "domain/name.h"
#include "util/arena.h"
#include "util/utf8.h"

/* How a client gets a user. */
static const char *
way_to_log_in(const struct registry *reg)
{
    if (reg->users_trusted)
        return "site";
    return access_users_exist(reg) ? "token" : "none";
}

/* The user's rights, also those that the token isn't for: the client can get another one. */
static struct json *
rights_on(const struct registry *reg, const struct actor *user, const char *repository)
{
    unsigned rights = access_rights(reg, user, repository);
    struct json *j = json_new_object();

    json_set_string(j, "name", repository);
    json_set_bool(j, "pull", (rights & RIGHT_PULL) != 0);
    json_set_bool(j, "create", (rights & RIGHT_CREATE) != 0);
    json_set_bool(j, "overwrite", (rights & RIGHT_OVERWRITE) != 0);
    json_set_bool(j, "delete", (rights & RIGHT_DELETE) != 0);
    json_set_bool(j, "admin", (rights & RIGHT_ADMIN) != 0);
    return j;
}

int
v2_me(struct call *c, struct err *err)
{
    const char *repository = query_get(&c->query, "repository");
    char *name = arena_strdup(c->arena, c->actor.user);
    struct actor user = c->actor;
    struct json *body;

    if (name == NULL)
        return arena_full(err);
    utf8_mend(name);
    if (repository != NULL && !name_is_repository(repository))
        return err_set(err, ERR_BAD_NAME, "%s is not a valid repository name", repository);
    user.grants = NULL;
    body = json_new_object();
    json_set_string(body, "user", name);
    json_set_bool(body, "users", access_users_exist(c->reg));
    json_set_string(body, "login", way_to_log_in(c->reg));
    json_set_bool(body, "administrator", access_administers(c->reg, &user));
    json_set_bool(body, "read_only", c->reg->read_only);
    if (repository != NULL)
        json_set(body, "repository", rights_on(c->reg, &user, repository));
    http_reply_header(c->reply, "Cache-Control", "no-store");
    return call_json(c, 200, body, err);
}
