#include "protocol/v1/v1_users.h"
#include "domain/access/token.h"

#define DEPTH_MAX 8

/* The body, which may hold a password, is ignored. */
static int
check_account(const struct call *c, struct err *err)
{
    struct json *account;
    bool good;

    if (json_parse(c->req->body, DEPTH_MAX, &account, err) != 0)
        return err_set(err, ERR_BAD_REQUEST, "the body is not JSON");
    good = json_type(account) == JSON_OBJECT;
    json_free(account);
    return good ? 0 : err_set(err, ERR_BAD_REQUEST, "the body is not a JSON object");
}

int
v1_users_get(struct call *c, struct err *err)
{
    struct json *body = json_new_object();

    json_set_string(body, "username", access_users_exist(c->reg) ? c->actor.user : TOKEN_ANYBODY);
    return call_json(c, 200, body, err);
}

int
v1_users_post(struct call *c, struct err *err)
{
    if (check_account(c, err) != 0)
        return -1;
    if (access_users_exist(c->reg))
        return call_body(c, 400, "application/json",
                         bytes_str("\"Username or email already exists\""));
    return call_body(c, 201, "application/json", bytes_str("\"User Created\""));
}

int
v1_users_put(struct call *c, struct err *err)
{
    if (check_account(c, err) != 0)
        return -1;
    if (access_users_exist(c->reg))
        return err_set(err, ERR_NO_ROUTE, "users are changed by the registry's administrator");
    return call_empty(c, 204);
}
